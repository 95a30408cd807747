//! The manifests render, are what Kubernetes knows, and keep to restricted pod security.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_yaml_ng::Value;

const OVERLAYS: [&str; 3] = ["sqlite", "postgres", "cronjob"];

/// What `tests/run --install` gets: the same version everywhere, whatever else is on the machine.
fn kubectl() -> PathBuf {
    super::path("target/tools/kubectl")
}

fn render(folder: &std::path::Path) -> String {
    super::run_well(Command::new(kubectl()).arg("kustomize").arg(folder))
}

fn objects(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    documents
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

/// The pod's specification in an object that makes pods.
fn pod(object: &Value) -> Option<&Value> {
    let spec = &object["spec"];
    match object["kind"].as_str()? {
        "StatefulSet" | "Deployment" => Some(&spec["template"]["spec"]),
        "CronJob" => Some(&spec["jobTemplate"]["spec"]["template"]["spec"]),
        _ => None,
    }
}

#[test]
fn overlays_render_to_what_kubernetes_knows() {
    let dir = tempfile::tempdir().unwrap();
    for overlay in OVERLAYS {
        let file = dir.path().join(format!("{overlay}.yaml"));
        let text = render(&super::path(&format!(
            "deploy/kubernetes/overlays/{overlay}"
        )));
        std::fs::write(&file, text).unwrap();
        super::run_well(
            Command::new(super::path("target/tools/venv/bin/kubernetes-validate"))
                .args(["--strict", "--quiet"])
                .arg(file),
        );
    }
}

#[test]
fn pods_keep_to_restricted_pod_security() {
    for overlay in OVERLAYS {
        let text = render(&super::path(&format!(
            "deploy/kubernetes/overlays/{overlay}"
        )));
        let objects = objects(&text);
        let mut pods = objects.iter().filter_map(pod);
        let pod = pods
            .next()
            .unwrap_or_else(|| panic!("{overlay} makes no pod"));
        assert!(pods.next().is_none(), "{overlay}");
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["terminationGracePeriodSeconds"], 45);
        for name in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(pod.get(name).is_none(), "{overlay} {name}");
        }
        let security = &pod["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["runAsUser"], 65532);
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        for container in pod["containers"].as_sequence().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false);
            assert_eq!(security["readOnlyRootFilesystem"], true);
            assert_eq!(security["capabilities"]["drop"][0], "ALL");
            assert!(security["capabilities"].get("add").is_none());
            assert_eq!(container["resources"]["limits"]["memory"], "256Mi");
            assert!(container["resources"]["limits"].get("cpu").is_none());
            for mount in container["volumeMounts"].as_sequence().unwrap() {
                assert!(mount.get("subPath").is_none(), "{overlay}: {mount:?}");
            }
        }
        for volume in pod["volumes"].as_sequence().unwrap() {
            assert!(volume.get("hostPath").is_none(), "{overlay}: {volume:?}");
        }
    }
}

#[test]
fn sqlite_has_one_replica_and_postgresql_rolls_without_a_gap() {
    let find = |overlay: &str, kind: &str| {
        let text = render(&super::path(&format!(
            "deploy/kubernetes/overlays/{overlay}"
        )));
        let found = objects(&text)
            .into_iter()
            .find(|object| object["kind"] == kind);
        found.unwrap_or_else(|| panic!("{overlay} has no {kind}"))
    };
    assert_eq!(find("sqlite", "StatefulSet")["spec"]["replicas"], 1);
    let deployment = find("postgres", "Deployment");
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    assert_eq!(rolling["maxSurge"], 1);
    assert_eq!(rolling["maxUnavailable"], 0);
    assert!((2..=3).contains(&deployment["spec"]["replicas"].as_u64().unwrap()));
    let budget = find("postgres", "PodDisruptionBudget");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    let evicted = &budget["spec"]["unhealthyPodEvictionPolicy"];
    assert_eq!(
        evicted, "AlwaysAllow",
        "an unready pod would hold up a drain"
    );
}

/// A copy of the manifests that a test may change.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let source = super::path("deploy/kubernetes");
    super::run_well(Command::new("cp").arg("-r").arg(source).arg(dir.path()));
    dir
}

/// The SQLite overlay with both components, rendered from the manifests in `folder`.
fn with_components(folder: &Path) -> Vec<Value> {
    let all = folder.join("kubernetes/all");
    std::fs::create_dir(&all).unwrap();
    let text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - ../overlays/sqlite\n\
                components:\n  - ../components/monitoring\n  - ../components/networkpolicy\n";
    std::fs::write(all.join("kustomization.yaml"), text).unwrap();
    objects(&render(&all))
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))
}

const RULES: &str = "deploy/kubernetes/components/monitoring/rules.yaml";

/// Prometheus' rules in the operator's wrapping.
fn wrapped_rules() -> String {
    let head = "# Made from deploy/prometheus; a test holds them equal.\napiVersion: monitoring.coreos.com/v1\n\
                kind: PrometheusRule\nmetadata:\n  name: tesa-reconciler\n  namespace: tesa-reconciler\nspec:\n  groups:\n";
    let mut made = head.to_owned();
    for file in ["recording.yml", "alerts.yml"] {
        let text = super::text(&format!("deploy/prometheus/{file}"));
        let (_, groups) = text.split_once("\ngroups:\n").unwrap();
        made.extend(groups.lines().map(|line| format!("  {line}\n")));
    }
    made
}

#[test]
fn components_fit_the_overlays_and_carry_the_rules_of_prometheus() {
    let made = wrapped_rules();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(super::path(RULES), &made).unwrap();
    }
    let same = super::text(RULES) == made;
    assert!(
        same,
        "UPDATE_DOCS=1 cargo nextest run components_fit writes {RULES} anew"
    );
    let dir = copy();
    let objects = with_components(dir.path());
    let rules = of_kind(&objects, "PrometheusRule");
    assert_eq!(rules["spec"]["groups"].as_sequence().unwrap().len(), 2);
}

#[test]
fn what_is_the_sites_own_is_said_once_and_stays() {
    let dir = copy();
    let site = dir
        .path()
        .join("kubernetes/components/monitoring/site.yaml");
    let text = std::fs::read_to_string(&site).unwrap();
    let text = text
        .replace("runbooks.example.org", "wiki.example.com/ops")
        .replace("kube-prometheus-stack\n", "metrics\n");
    std::fs::write(&site, text).unwrap();
    let objects = with_components(dir.path());
    for kind in ["PrometheusRule", "PodMonitor"] {
        let label = &of_kind(&objects, kind)["metadata"]["labels"]["release"];
        assert_eq!(label, "metrics", "{kind}");
    }
    let rules = serde_yaml_ng::to_string(of_kind(&objects, "PrometheusRule")).unwrap();
    let urls = rules.matches("runbook_url: ").count();
    let ours = "runbook_url: https://wiki.example.com/ops/tesa-reconciler/TesaReconciler";
    assert!(urls > 0 && rules.matches(ours).count() == urls, "{rules}");
    let names = objects.iter().map(|object| &object["metadata"]["name"]);
    let left: Vec<_> = names
        .filter(|name| *name == "tesa-reconciler-monitoring-site")
        .collect();
    assert!(left.is_empty(), "what kustomize reads is applied as well");
}

#[test]
fn the_network_policy_lets_through_what_the_daemon_needs_and_no_more() {
    let dir = copy();
    let objects = with_components(dir.path());
    let policy = of_kind(&objects, "NetworkPolicy");
    let file = dir.path().join("policy.yaml");
    std::fs::write(&file, serde_yaml_ng::to_string(policy).unwrap()).unwrap();
    super::run_well(
        Command::new(super::path("target/tools/venv/bin/kubernetes-validate"))
            .args(["--strict", "--quiet"])
            .arg(file),
    );
    let egress = policy["spec"]["egress"].as_sequence().unwrap();
    let allows = |port: u64, to: &str| {
        egress.iter().any(|rule| {
            let ports = rule["ports"].as_sequence().unwrap();
            let peers = serde_yaml_ng::to_string(&rule["to"]).unwrap();
            ports.iter().any(|entry| entry["port"] == port) && peers.contains(to)
        })
    };
    for (port, to) in [
        (53, "kube-system"),
        (53, "169.254.20.10/32"),
        (443, "0.0.0.0/0"),
        (443, "::/0"),
        (5432, "databases"),
        (9093, "monitoring"),
    ] {
        assert!(allows(port, to), "{to}:{port} is shut");
    }
    assert!(!allows(5432, "/0") && !allows(53, "/0"));
}

#[test]
fn the_image_is_named_in_the_overlay_and_carries_the_version() {
    let version = env!("CARGO_PKG_VERSION");
    for overlay in OVERLAYS {
        let folder = format!("deploy/kubernetes/overlays/{overlay}");
        let entry: Value =
            serde_yaml_ng::from_str(&super::text(&format!("{folder}/kustomization.yaml"))).unwrap();
        assert_eq!(entry["images"][0]["name"], "tesa-reconciler", "{overlay}");
        let objects = objects(&render(&super::path(&folder)));
        let image = objects.iter().find_map(pod).unwrap()["containers"][0]["image"].clone();
        let expected = format!("registry.example.org/tesa-reconciler:{version}");
        assert_eq!(image, expected.as_str(), "{overlay}");
    }
}

#[test]
fn a_changed_configuration_makes_new_pods() {
    let dir = copy();
    let config = |folder: &str| {
        let rendered = objects(&render(
            &dir.path().join("kubernetes/overlays").join(folder),
        ));
        let volumes = rendered.iter().find_map(pod).unwrap()["volumes"].clone();
        let volumes = volumes.as_sequence().unwrap();
        let named = volumes.iter().find(|volume| volume["name"] == "config");
        named.unwrap()["configMap"]["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let before = OVERLAYS.map(config);
    let file = dir.path().join("kubernetes/base/tesa-reconciler.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"observe\"", "\"enforce\"")).unwrap();
    for (before, after) in before.iter().zip(OVERLAYS.map(config)) {
        assert_ne!(*before, after);
    }
}

#[test]
fn postgresql_is_spoken_to_only_when_it_is_who_it_says() {
    let example: toml::Table = super::text("examples/kubernetes-postgresql.toml")
        .parse()
        .unwrap();
    for overlay in ["postgres", "cronjob"] {
        let text = render(&super::path(&format!(
            "deploy/kubernetes/overlays/{overlay}"
        )));
        let objects = objects(&text);
        let container = &objects.iter().find_map(pod).unwrap()["containers"][0];
        let variables = container["env"].as_sequence().unwrap();
        let url = variables
            .iter()
            .find(|variable| variable["name"] == "TESA_RECONCILER__STATE__URL");
        let url = url.unwrap()["value"].as_str().unwrap();
        assert!(url.contains("?sslmode=verify-full&sslrootcert=/secrets/postgres/"));
        assert_eq!(Some(url), example["state"]["url"].as_str(), "{overlay}");
    }
}

#[test]
fn the_page_makes_the_namespace_before_what_lives_in_it() {
    let page = super::text("docs/operations.md");
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text:?}"));
    let namespace = place("kubectl apply -f deploy/kubernetes/base/namespace.yaml");
    let secret = place("create secret generic tesa-reconciler-tesamanager");
    let all = place("kubectl apply -k deploy/kubernetes/overlays/");
    assert!(namespace < secret && secret < all);
}

#[test]
fn the_example_of_a_configuration_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let account = dir.path().join("service-account.json");
    std::fs::write(&account, "{}").unwrap();
    super::run_well(
        Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"))
            .args(["config", "check", "--config"])
            .arg(super::path("deploy/kubernetes/base/tesa-reconciler.toml"))
            .env(
                "TESA_RECONCILER__TESAMANAGER__SERVICE_ACCOUNT_FILE",
                &account,
            ),
    );
}
