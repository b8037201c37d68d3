package operator;

import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPairGenerator;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;

/** A fixture: a control plane of one's own, from the two programs in KUBEBUILDER_ASSETS. */
final class ControlPlane implements AutoCloseable {
    private static final String TOKEN = "of-this-test";
    private static final long WITHIN_MS = 60_000;

    private final Path folder;
    private final List<Process> programs = new ArrayList<>();
    private final String server;

    ControlPlane() throws Exception {
        folder = Files.createTempDirectory("bench");
        String store = "http://127.0.0.1:" + freePort();
        int port = freePort();
        server = "https://127.0.0.1:" + port;
        Path key = Files.writeString(folder.resolve("accounts.key"), privateKey());
        Path tokens = Files.writeString(folder.resolve("tokens.csv"), TOKEN + ",admin,admin,system:masters\n");
        start("etcd", "--data-dir=" + folder.resolve("data"), "--unsafe-no-fsync=true",
            "--listen-client-urls=" + store, "--advertise-client-urls=" + store);
        start("kube-apiserver", "--etcd-servers=" + store, "--cert-dir=" + folder, "--bind-address=127.0.0.1",
            "--secure-port=" + port, "--token-auth-file=" + tokens, "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount", "--service-account-issuer=" + server,
            "--service-account-key-file=" + key, "--service-account-signing-key-file=" + key,
            "--service-cluster-ip-range=10.0.0.0/24");
        waitUntilReady();
    }

    KubernetesClient client() {
        Config config = new ConfigBuilder(Config.empty()).withMasterUrl(server)
            .withCaCertFile(folder.resolve("apiserver.crt").toString()).withOauthToken(TOKEN).build();
        return new KubernetesClientBuilder().withConfig(config).build();
    }

    @Override
    public void close() throws IOException, InterruptedException {
        programs.forEach(Process::destroy);
        for (Process program : programs) {
            program.waitFor(20, TimeUnit.SECONDS);
        }
        try (var files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
        }
    }

    private void start(String name, String... flags) throws IOException {
        List<String> command = new ArrayList<>(List.of(flags));
        command.add(0, Path.of(System.getenv("KUBEBUILDER_ASSETS"), name).toString());
        programs.add(new ProcessBuilder(command).redirectErrorStream(true)
            .redirectOutput(folder.resolve(name + ".log").toFile()).start());
    }

    /** The server makes its certificate first, then listens, then becomes ready. */
    private void waitUntilReady() throws InterruptedException {
        long until = System.currentTimeMillis() + WITHIN_MS;
        while (!isReady()) {
            if (System.currentTimeMillis() > until) {
                throw new IllegalStateException("not ready in time: see " + folder);
            }
            Thread.sleep(10);
        }
    }

    private boolean isReady() {
        if (!Files.exists(folder.resolve("apiserver.crt"))) {
            return false;
        }
        try (KubernetesClient client = client()) {
            return "ok".equals(client.raw("/readyz"));
        } catch (RuntimeException notYet) {
            return false;
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    private static String privateKey() throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        byte[] key = generator.generateKeyPair().getPrivate().getEncoded();
        String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(key);
        return "-----BEGIN PRIVATE KEY-----\n" + text + "\n-----END PRIVATE KEY-----\n";
    }
}
