//! The manifests render, are what Kubernetes knows, and keep to restricted pod security.

use std::path::PathBuf;
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
}

#[test]
fn components_fit_the_overlays_and_carry_the_rules_of_prometheus() {
    let dir = tempfile::tempdir_in(super::path("target")).unwrap();
    let text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - ../../deploy/kubernetes/overlays/sqlite\n\
                components:\n  - ../../deploy/kubernetes/components/monitoring\n  - ../../deploy/kubernetes/components/networkpolicy\n";
    std::fs::write(dir.path().join("kustomization.yaml"), text).unwrap();
    let objects = objects(&render(dir.path()));
    let has = |kind: &str| objects.iter().find(|object| object["kind"] == kind);
    assert!(has("NetworkPolicy").is_some() && has("PodMonitor").is_some());
    let rules = has("PrometheusRule").unwrap();
    let groups = rules["spec"]["groups"].as_sequence().unwrap();
    for (group, file) in groups.iter().zip(["recording.yml", "alerts.yml"]) {
        let source: Value =
            serde_yaml_ng::from_str(&super::text(&format!("deploy/prometheus/{file}"))).unwrap();
        assert_eq!(
            *group, source["groups"][0],
            "{file} has changed: copy it anew"
        );
    }
    assert_eq!(groups.len(), 2);
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
