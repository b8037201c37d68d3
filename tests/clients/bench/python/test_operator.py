"""A test of an operator with the official client."""

import unittest

import kubernetes

from bench import control_plane


class TestOperator(unittest.TestCase):
    def test_a_config_map(self):
        with control_plane() as (server, certificate, token):
            configuration = kubernetes.client.Configuration(host=server)
            configuration.ssl_ca_cert = certificate
            configuration.api_key = {"authorization": f"Bearer {token}"}
            with kubernetes.client.ApiClient(configuration) as client:
                core = kubernetes.client.CoreV1Api(client)
                metadata = kubernetes.client.V1ObjectMeta(name="greeting")
                greeting = kubernetes.client.V1ConfigMap(metadata=metadata, data={"hello": "world"})
                core.create_namespaced_config_map("default", greeting)
                found = core.read_namespaced_config_map("greeting", "default")
                self.assertEqual(found.data, {"hello": "world"})


if __name__ == "__main__":
    unittest.main()
