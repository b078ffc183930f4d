"""docker-compose.yml and deploy/: that they parse, and that every path, image, service, port and option in them exists."""
import json
import re
from pathlib import Path

import yaml

from images import ROOT, Problem, Stage, check_image


def load_yaml(path: Path) -> list:
    try:
        return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]
    except yaml.YAMLError as e:
        raise Problem(f"{path.relative_to(ROOT)}: {e}") from e


def check_compose(compose: dict, stages: list[Stage]) -> None:
    names = {s.name for s in stages}
    for service, config in compose["services"].items():
        where = f"docker-compose.yml: {service}"
        build = config.get("build")
        if build:
            target = build["target"].replace("${TESSERA_TARGET:-cpu}", "cpu")
            if target not in names or not (ROOT / build["context"]).is_dir():
                raise Problem(f"{where}: build of {build} is not in the Dockerfile")
        else:
            check_image(config["image"], where)
        for volume in config.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                if source != "./results" and not (ROOT / source).exists():
                    raise Problem(f"{where}: volume {source} is not in the repository")
            elif source not in compose["volumes"]:
                raise Problem(f"{where}: volume {source} is not declared")
        for port in config.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                raise Problem(f"{where}: port {port} is published beyond loopback")
        for other in config.get("depends_on", []):
            if other not in compose["services"]:
                raise Problem(f"{where}: depends on {other}, which is no service")


def mounted(compose: dict, service: str, path: str) -> Path:
    """The repository's file that a service sees at a path."""
    for volume in compose["services"][service]["volumes"]:
        source, target = volume.split(":")[:2]
        if path == target or path.startswith(target + "/"):
            return ROOT / source / path[len(target):].lstrip("/")
    raise Problem(f"docker-compose.yml: {service} has nothing at {path}")


def check_observability(compose: dict) -> None:
    """That every file and every service that a configuration names is there."""
    services = compose["services"]
    prometheus_file = next(a.split("=", 1)[1] for a in services["prometheus"]["command"] if a.startswith("--config.file="))
    [prometheus] = load_yaml(mounted(compose, "prometheus", prometheus_file))
    for rules in prometheus["rule_files"]:
        [groups] = load_yaml(mounted(compose, "prometheus", str(Path(prometheus_file).parent / rules)))
        for rule in groups["groups"][0]["rules"]:
            if not {"alert", "expr", "labels", "annotations"} <= rule.keys():
                raise Problem(f"alerts: {rule} lacks a field")
    hosts = [t for job in prometheus["scrape_configs"] for s in job["static_configs"] for t in s["targets"]]
    [datasources] = load_yaml(mounted(compose, "grafana", "/etc/grafana/provisioning/datasources/prometheus.yaml"))
    hosts += [re.sub(r"^https?://", "", d["url"]) for d in datasources["datasources"]]
    hosts += [re.sub(r"^https?://", "", v) for s in services.values() for k, v in (s.get("environment") or {}).items() if "ENDPOINT" in k.upper()]
    for host in hosts:
        if host.split(":")[0] not in services:
            raise Problem(f"{host} is no service of docker-compose.yml")
    [providers] = load_yaml(mounted(compose, "grafana", "/etc/grafana/provisioning/dashboards/tessera.yaml"))
    dashboard = json.loads((mounted(compose, "grafana", providers["providers"][0]["options"]["path"]) / "tessera.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        raise Problem("deploy/grafana/dashboards/tessera.json: two panels have one id")
    config = next(a.split("=", 1)[1] for a in services["otel-collector"]["command"] if a.startswith("--config="))
    [collector] = load_yaml(mounted(compose, "otel-collector", config))
    for name, pipeline in collector["service"]["pipelines"].items():
        for kind in ("receivers", "processors", "exporters"):
            for part in pipeline[kind]:
                if part not in collector[kind]:
                    raise Problem(f"otel-collector: pipeline {name} uses {part}, which {kind} does not have")


def check_kubernetes() -> None:
    folder = ROOT / "deploy" / "kubernetes"
    [kustomization] = load_yaml(folder / "kustomization.yaml")
    for name in kustomization["resources"]:
        if not (folder / name).is_file():
            raise Problem(f"kustomization.yaml: {name} is missing")
    objects = [o for path in sorted(folder.glob("*.yaml")) for o in load_yaml(path)]
    for o in objects:
        if not o.get("apiVersion") or not o.get("kind"):
            raise Problem(f"deploy/kubernetes: an object lacks apiVersion or kind: {o}")
    by_kind = {o["kind"]: o for o in objects}
    deployment = by_kind["Deployment"]
    pod = deployment["spec"]["template"]
    [server] = pod["spec"]["containers"]
    check_image(server["image"], "deployment.yaml")
    labels, ports = pod["metadata"]["labels"], {p["name"]: p["containerPort"] for p in server["ports"]}
    selectors = [deployment["spec"]["selector"]["matchLabels"], by_kind["Service"]["spec"]["selector"],
                 by_kind["InferencePool"]["spec"]["selector"]["matchLabels"], by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]]
    if any(s != labels for s in selectors):
        raise Problem(f"deploy/kubernetes: selectors {selectors} do not all select {labels}")
    used = [p["targetPort"] for p in by_kind["Service"]["spec"]["ports"]] + [server[p]["httpGet"]["port"] for p in ("startupProbe", "readinessProbe", "livenessProbe")]
    if not set(used) <= ports.keys():
        raise Problem(f"deploy/kubernetes: ports {used}, the container has {ports}")
    if by_kind["InferencePool"]["spec"]["targetPorts"] != [{"number": ports["rest"]}]:
        raise Problem("inference-gateway.yaml: the pool's port is not REST's")
    mounts, volumes = {m["name"] for m in server["volumeMounts"]}, {v["name"] for v in pod["spec"]["volumes"]}
    if mounts != volumes:
        raise Problem(f"deployment.yaml: mounts {mounts}, volumes {volumes}")
    env = {e["name"]: e["value"] for e in server["env"]}
    sleep = int(server["lifecycle"]["preStop"]["exec"]["command"][-1])
    if pod["spec"]["terminationGracePeriodSeconds"] < sleep + int(env["TESSERA__Server__DrainSeconds"]) + 5:
        raise Problem("deployment.yaml: the grace period is shorter than preStop and drain")
    if by_kind["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] != deployment["metadata"]["name"]:
        raise Problem("autoscaler.yaml: scales something else")
    check_options([*env, "TESSERA__Security__AllowOpen"])


def check_options(names: list[str]) -> None:
    """That each variable of ours is an option that the server documents."""
    known = (ROOT / "docs" / "reference" / "options.md").read_text()
    for name in names:
        if name.startswith("TESSERA__") and f"`{name[len('TESSERA__'):].replace('__', ':')}`" not in known:
            raise Problem(f"{name} is no option of docs/reference/options.md")
