package operator;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;

import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import org.junit.jupiter.api.Test;

/** A test with fabric8's client alone. */
class OperatorTest {
    @Test
    void aConfigMap() throws Exception {
        try (ControlPlane plane = new ControlPlane(); KubernetesClient client = plane.client()) {
            var greeting = new ConfigMapBuilder().withNewMetadata().withName("greeting").endMetadata()
                .withData(Map.of("hello", "world")).build();
            client.configMaps().inNamespace("default").resource(greeting).create();
            var found = client.configMaps().inNamespace("default").withName("greeting").get();
            assertEquals(Map.of("hello", "world"), found.getData());
        }
    }
}
