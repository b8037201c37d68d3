package operator;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import java.util.concurrent.TimeUnit;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.javaoperatorsdk.operator.Operator;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import org.junit.jupiter.api.Test;

/** A test of an operator of the Java Operator SDK. */
class SdkTest {
    private static final Map<String, String> LABELS = Map.of("greet", "yes");
    private static final Map<String, String> GREETING = Map.of("hello", "world");

    /** Applies the greeting to every ConfigMap that asks for one. */
    static final class Greeter implements Reconciler<ConfigMap> {
        @Override
        public UpdateControl<ConfigMap> reconcile(ConfigMap map, Context<ConfigMap> context) {
            if (GREETING.equals(map.getData())) {
                return UpdateControl.noUpdate();
            }
            return UpdateControl.patchResource(map(map.getMetadata().getName()).withData(GREETING).build());
        }
    }

    @Test
    void aReconciler() throws Exception {
        try (ControlPlane plane = new ControlPlane(); KubernetesClient client = plane.client()) {
            Operator operator = new Operator(o -> o.withKubernetesClient(client).withCloseClientOnStop(false));
            operator.register(new Greeter(), o -> o.settingNamespace("default").withLabelSelector("greet=yes"));
            operator.start();
            try {
                client.resource(map("greeting").build()).create();
                var greeted = client.configMaps().inNamespace("default").withName("greeting")
                    .waitUntilCondition(map -> map != null && GREETING.equals(map.getData()), 30, TimeUnit.SECONDS);
                assertEquals(GREETING, greeted.getData());
            } finally {
                operator.stop();
            }
        }
    }

    private static ConfigMapBuilder map(String name) {
        return new ConfigMapBuilder().withNewMetadata().withNamespace("default").withName(name).withLabels(LABELS)
            .endMetadata();
    }
}
