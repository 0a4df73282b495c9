"""What the chart makes of its values. Run by tests/packaging/run chart."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import tomllib
import unittest

import yaml

TOP = pathlib.Path(__file__).resolve().parents[3]
CHART = TOP / "helm" / "pagi"
TOOLS = pathlib.Path(os.environ["PAGI_TOOLS"])
HOME = tempfile.mkdtemp(prefix="pagi-helm-")
ENVIRONMENT = {**os.environ, "HELM_CACHE_HOME": HOME, "HELM_CONFIG_HOME": HOME, "HELM_DATA_HOME": HOME}


def helm(*arguments):
    return subprocess.run([TOOLS / "helm", *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def template(values=None, files=()):
    arguments = ["template", "shop", CHART, "--namespace", "prod"]
    for name in files:
        arguments += ["-f", name]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as extra:
        json.dump(values or {}, extra)
        extra.flush()
        return helm(*arguments, "-f", extra.name)


class Rendered:
    """All documents of a rendered chart, found by kind and name."""

    def __init__(self, values=None, files=()):
        told = template(values, files)
        if told.returncode != 0:
            raise AssertionError(told.stderr)
        self.text = told.stdout
        self.all = [document for document in yaml.safe_load_all(told.stdout) if document]

    def kinds(self):
        return sorted(document["kind"] for document in self.all)

    def names(self, kind):
        return sorted(document["metadata"]["name"] for document in self.all if document["kind"] == kind)

    def get(self, kind, name="shop-pagi"):
        found = [document for document in self.all if document["kind"] == kind and document["metadata"]["name"] == name]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} times {kind} {name}; there are {self.names(kind)}")
        return found[0]

    def pod(self, name="shop-pagi"):
        return self.get("Deployment", name)["spec"]["template"]["spec"]

    def container(self, name="shop-pagi"):
        return self.pod(name)["containers"][0]

    def config(self, name="shop-pagi"):
        return tomllib.loads(self.get("ConfigMap", name)["data"]["pagi.toml"])


class Defaults(unittest.TestCase):
    def setUp(self):
        self.chart = Rendered()

    def test_nothing_but_the_essential_is_made(self):
        expected = ["ConfigMap", "Deployment", "Pod", "Service", "Service", "ServiceAccount"]
        self.assertEqual(self.chart.kinds(), expected)

    def test_services_select_the_pods(self):
        deployment = self.chart.get("Deployment")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        selectors = [self.chart.get("Service", name)["spec"]["selector"] for name in ("shop-pagi", "shop-pagi-admin")]
        for selector in [*selectors, deployment["spec"]["selector"]["matchLabels"]]:
            self.assertTrue(selector.items() <= labels.items(), (selector, labels))
        # A version in the selector would make every upgrade fail: selectors cannot be changed.
        self.assertNotIn("app.kubernetes.io/version", selectors[0])

    def test_ports_fit(self):
        self.assertEqual(self.chart.config()["listen"], ["0.0.0.0:5000"])
        self.assertEqual(self.chart.config()["admin_listen"], "0.0.0.0:9090")
        ports = {port["name"]: port["containerPort"] for port in self.chart.container()["ports"]}
        self.assertEqual(ports, {"http": 5000, "admin": 9090})
        service = self.chart.get("Service")["spec"]["ports"]
        self.assertEqual([(port["port"], port["targetPort"]) for port in service], [(80, "http")])

    def test_probes_ask_the_admin_port(self):
        container = self.chart.container()
        asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        self.assertEqual({probe["port"] for probe in asked.values()}, {"admin"})
        self.assertEqual(asked["liveness"]["path"], "/healthz")
        self.assertEqual(asked["readiness"]["path"], "/readyz")

    def test_nothing_is_writable_but_tmp_and_no_right_is_left(self):
        container, pod = self.chart.container(), self.chart.pod()
        self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
        self.assertFalse(container["securityContext"]["allowPrivilegeEscalation"])
        self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertFalse(pod["automountServiceAccountToken"])
        writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
        self.assertEqual(writable, ["/tmp"])

    def test_kubernetes_sets_no_options(self):
        # A service named pagi would otherwise put PAGI_PORT=tcp://... into the environment.
        self.assertFalse(self.chart.pod()["enableServiceLinks"])

    def test_the_image_is_of_the_charts_version(self):
        version = subprocess.run([TOP / "packaging/version"], capture_output=True, text=True, check=True).stdout.strip()
        self.assertEqual(self.chart.container()["image"], f"pagi:{version}")

    def test_the_test_pod_asks_the_service(self):
        pod = self.chart.get("Pod", "shop-pagi-answers")
        self.assertEqual(pod["metadata"]["annotations"]["helm.sh/hook"], "test")
        self.assertEqual(pod["spec"]["containers"][0]["args"][1:], ["shop-pagi", "80", ""])
        labels = pod["metadata"]["labels"]
        selector = self.chart.get("Service")["spec"]["selector"]
        self.assertFalse(selector.items() <= labels.items(), "the test pod would get requests")


class Stopping(unittest.TestCase):
    def test_grace_is_delay_and_drain_and_a_margin(self):
        self.assertEqual(Rendered().pod()["terminationGracePeriodSeconds"], 5 + 30 + 10)
        values = {"config": {"shutdown_timeout": 12.5}, "lifecycle": {"preStopDelay": 20}}
        chart = Rendered(values)
        self.assertEqual(chart.pod()["terminationGracePeriodSeconds"], 20 + 13 + 10)
        self.assertEqual(chart.container()["lifecycle"]["preStop"]["exec"]["command"], ["sleep", "20"])
        self.assertEqual(chart.config()["shutdown_timeout"], 12.5)


class Configuration(unittest.TestCase):
    def test_values_keep_their_types(self):
        values = {"config": {"max_body_size": 10000000, "access_log": "/dev/stdout", "quiet": True, "lib": ["/a", 'b"c']}}
        config = Rendered(values).config()
        self.assertEqual(config["max_body_size"], 10000000)
        self.assertIsInstance(config["max_body_size"], int)
        self.assertEqual((config["access_log"], config["quiet"], config["lib"]), ("/dev/stdout", True, ["/a", 'b"c']))

    def test_keys_of_the_chart_cannot_be_set(self):
        told = template({"config": {"listen": ["0.0.0.0:1"]}})
        self.assertNotEqual(told.returncode, 0)
        self.assertIn("config.listen is set by the chart", told.stderr)

    def test_a_change_replaces_the_pods(self):
        def checksum(values):
            return Rendered(values).get("Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

        self.assertEqual(checksum({}), checksum({}))
        self.assertNotEqual(checksum({}), checksum({"config": {"workers": 3}}))

    def test_all_keys_are_options_of_the_server(self):
        page = subprocess.run([os.environ["PAGI_SERVER"], "--help"], capture_output=True, text=True, check=True).stdout
        options = {name.replace("-", "_") for name in re.findall(r"--([a-z][a-z0-9-]+)", page)}
        for values in [None, {"tls": {"enabled": True, "secretName": "s"}}]:
            self.assertEqual(set(Rendered(values).config()) - options, set())


class Application(unittest.TestCase):
    FILES = {"application": {"name": "app.pl", "files": {"app.pl": "sub app {\n  1;\n}\n", "Lib.pm": "1;\n"}}}

    def test_files_are_mounted(self):
        chart = Rendered(self.FILES)
        self.assertEqual(chart.config()["app"], "/srv/app/app.pl")
        self.assertEqual(chart.get("ConfigMap", "shop-pagi-application")["data"], self.FILES["application"]["files"])
        volumes = {volume["name"]: volume for volume in chart.pod()["volumes"]}
        self.assertEqual(volumes["application"]["configMap"]["name"], "shop-pagi-application")

    def test_an_existing_config_map_is_used(self):
        chart = Rendered({"application": {"name": "app.pl", "existingConfigMap": "code"}})
        self.assertEqual(chart.names("ConfigMap"), ["shop-pagi"])
        volumes = {volume["name"]: volume for volume in chart.pod()["volumes"]}
        self.assertEqual(volumes["application"]["configMap"]["name"], "code")

    def test_an_application_in_the_image_needs_no_volume(self):
        chart = Rendered({"application": {"name": "/srv/shop/app.pl"}})
        self.assertEqual(chart.config()["app"], "/srv/shop/app.pl")
        self.assertNotIn("application", [volume["name"] for volume in chart.pod()["volumes"]])


class Tls(unittest.TestCase):
    def test_the_secret_is_mounted_so_that_renewals_arrive(self):
        chart = Rendered(files=[CHART / "ci/tls-values.yaml"])
        mounts = {mount["name"]: mount for mount in chart.container()["volumeMounts"]}
        self.assertEqual(mounts["tls"]["mountPath"], "/etc/pagi/tls")
        self.assertNotIn("subPath", mounts["tls"])
        volumes = {volume["name"]: volume for volume in chart.pod()["volumes"]}
        self.assertEqual(volumes["tls"]["secret"]["secretName"], "shop-tls")
        config = chart.config()
        self.assertEqual((config["ssl_cert"], config["ssl_key"]), ("/etc/pagi/tls/tls.crt", "/etc/pagi/tls/tls.key"))
        self.assertEqual(chart.get("Service")["spec"]["ports"][0]["port"], 443)

    def test_a_secret_must_be_named(self):
        told = template({"tls": {"enabled": True}})
        self.assertNotEqual(told.returncode, 0)
        self.assertIn("secretName", told.stderr)


class Scaling(unittest.TestCase):
    def test_the_autoscaler_owns_the_number(self):
        chart = Rendered(files=[CHART / "ci/hpa-values.yaml"])
        self.assertNotIn("replicas", chart.get("Deployment")["spec"])
        scaler = chart.get("HorizontalPodAutoscaler")["spec"]
        self.assertEqual((scaler["minReplicas"], scaler["maxReplicas"]), (3, 12))
        self.assertEqual(scaler["scaleTargetRef"]["name"], "shop-pagi")
        self.assertEqual([metric["resource"]["name"] for metric in scaler["metrics"]], ["cpu", "memory"])
        self.assertEqual(chart.get("PodDisruptionBudget")["spec"]["maxUnavailable"], "25%")

    def test_a_rollout_never_has_fewer_pods(self):
        strategy = Rendered().get("Deployment")["spec"]["strategy"]["rollingUpdate"]
        self.assertEqual(strategy, {"maxUnavailable": 0, "maxSurge": 1})


class Surroundings(unittest.TestCase):
    def test_redis_comes_from_the_secret(self):
        chart = Rendered(files=[CHART / "ci/redis-values.yaml"])
        environment = {entry["name"]: entry for entry in chart.container()["env"]}
        reference = environment["REDIS_URL"]["valueFrom"]["secretKeyRef"]
        self.assertEqual(reference, {"name": "valkey", "key": "url"})
        self.assertEqual(environment["SHOP_NAME"]["value"], "Corner shop")

    def test_without_variables_there_is_no_environment(self):
        self.assertNotIn("env", Rendered().container())

    def test_ingress_leads_to_the_service(self):
        chart = Rendered(files=[CHART / "ci/ingress-values.yaml"])
        spec = chart.get("Ingress")["spec"]
        self.assertEqual([rule["host"] for rule in spec["rules"]], ["shop.example.org", "api.example.org"])
        backend = spec["rules"][1]["http"]["paths"][0]["backend"]["service"]
        self.assertEqual(backend, {"name": "shop-pagi", "port": {"number": 80}})
        monitor = chart.get("ServiceMonitor")["spec"]
        admin = chart.get("Service", "shop-pagi-admin")
        self.assertTrue(monitor["selector"]["matchLabels"].items() <= admin["metadata"]["labels"].items())
        public = chart.get("Service")
        self.assertFalse(monitor["selector"]["matchLabels"].items() <= public["metadata"]["labels"].items())
        self.assertEqual(monitor["endpoints"][0]["port"], admin["spec"]["ports"][0]["name"])
        self.assertEqual(monitor["namespaceSelector"]["matchNames"], ["prod"])

    def test_the_network_policy_lets_in_who_is_named(self):
        chart = Rendered(files=[CHART / "ci/hardened-values.yaml"])
        rules = chart.get("NetworkPolicy")["spec"]["ingress"]
        self.assertEqual([rule["ports"][0]["port"] for rule in rules], ["http", "admin"])
        namespaces = [rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for rule in rules]
        self.assertEqual(namespaces, ["ingress-nginx", "monitoring"])
        self.assertEqual(chart.names("ServiceAccount"), ["pagi-nothing-allowed"])
        self.assertEqual(chart.pod()["serviceAccountName"], "pagi-nothing-allowed")


class TwoApplications(unittest.TestCase):
    def setUp(self):
        self.chart = Rendered(files=[CHART / "ci/two-applications-values.yaml"])

    def test_each_has_what_it_needs(self):
        both = ["shop-pagi-hello", "shop-pagi-shop"]
        self.assertEqual(self.chart.names("Deployment"), both)
        self.assertEqual(self.chart.names("ServiceAccount"), both)
        self.assertEqual(self.chart.names("Ingress"), ["shop-pagi-shop"])
        self.assertEqual(self.chart.container("shop-pagi-shop")["image"], "registry.example.org/shop:4.2")
        self.assertEqual(self.chart.get("Deployment", "shop-pagi-shop")["spec"]["replicas"], 2)
        self.assertEqual(self.chart.get("Deployment", "shop-pagi-hello")["spec"]["replicas"], 1)

    def test_own_values_win_over_common_ones(self):
        shop, hello = self.chart.config("shop-pagi-shop"), self.chart.config("shop-pagi-hello")
        self.assertEqual((shop["workers"], hello["workers"]), (2, 1))
        self.assertEqual(hello["max_body_size"], 10000000)
        self.assertEqual((shop["app"], hello["app"]), ("/srv/shop/app.pl", "/srv/app/app.pl"))

    def test_their_services_do_not_mix(self):
        selectors = [self.chart.get("Service", name)["spec"]["selector"] for name in ("shop-pagi-shop", "shop-pagi-hello")]
        labels = self.chart.get("Deployment", "shop-pagi-hello")["spec"]["template"]["metadata"]["labels"]
        self.assertEqual([selector.items() <= labels.items() for selector in selectors], [False, True])


class Schema(unittest.TestCase):
    REFUSED = [
        {"replicaCont": 2},
        {"replicaCount": "two"},
        {"ports": {"http": 70000}},
        {"config": {"Max-Body": 1}},
        {"channels": {"redis": {"url": "http://x"}}},
        {"ingress": {"hosts": [{"host": "a"}]}},
        {"applications": {"Shop": {}}},
        {"applications": {"shop": {"replicaCont": 2}}},
        {"podDisruptionBudget": {"maxUnavailable": "some"}},
        {"service": {"type": "Loadbalancer"}},
    ]

    def test_mistakes_are_refused(self):
        for values in self.REFUSED:
            with self.subTest(values):
                told = template(values)
                self.assertNotEqual(told.returncode, 0)
                self.assertIn("values don't meet the specifications of the schema", told.stderr)


class ValueFiles(unittest.TestCase):
    def test_all_render_and_fit_the_kubernetes_schemas(self):
        files = sorted((CHART / "ci").glob("*.yaml"))
        self.assertGreaterEqual(len(files), 6)
        for name in [None, *files]:
            with self.subTest(name), tempfile.NamedTemporaryFile("w", suffix=".yaml") as rendered:
                rendered.write(Rendered(files=[name] if name else []).text)
                rendered.flush()
                command = [TOOLS / "kube/bin/kubernetes-validate", "--strict", rendered.name]
                told = subprocess.run(command, capture_output=True, text=True, check=False)
                self.assertEqual(told.returncode, 0, told.stdout + told.stderr)

    def test_the_chart_passes_helms_own_lint(self):
        told = helm("lint", "--strict", CHART)
        self.assertEqual(told.returncode, 0, told.stdout)


if __name__ == "__main__":
    unittest.main()
