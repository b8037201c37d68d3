"""A test of an operator of kopf: its handlers run in a thread, the test is a client."""

import threading
import time
import unittest

import kopf
import kubernetes

from bench import control_plane


def operator(server, certificate, token):
    """The handlers, and how they reach the control plane."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**_):
        return kopf.ConnectionInfo(server=server, ca_path=certificate, scheme="Bearer", token=token)

    @kopf.on.create("configmaps", labels={"greet": "yes"}, registry=registry)
    def greet(patch, **_):
        patch.setdefault("data", {})["hello"] = "world"

    return registry


class TestKopf(unittest.TestCase):
    def test_a_handler(self):
        with control_plane() as (server, certificate, token):
            stop = threading.Event()
            options = {"registry": operator(server, certificate, token), "namespaces": ["default"], "standalone": True}
            runs = threading.Thread(target=kopf.run, kwargs={**options, "stop_flag": stop})
            runs.start()
            try:
                self.assertEqual(self.greeted(server, certificate, token), {"hello": "world"})
            finally:
                stop.set()
                runs.join()

    def greeted(self, server, certificate, token, within=60):
        configuration = kubernetes.client.Configuration(host=server)
        configuration.ssl_ca_cert = certificate
        configuration.api_key = {"authorization": f"Bearer {token}"}
        with kubernetes.client.ApiClient(configuration) as client:
            core = kubernetes.client.CoreV1Api(client)
            metadata = kubernetes.client.V1ObjectMeta(name="greeting", labels={"greet": "yes"})
            core.create_namespaced_config_map("default", kubernetes.client.V1ConfigMap(metadata=metadata))
            until = time.monotonic() + within
            while time.monotonic() < until:
                found = core.read_namespaced_config_map("greeting", "default")
                if found.data:
                    return found.data
                time.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
