"""Looks at Kubernetes manifests, for .ci/deploy.

check FILE...         each document against the schema of its kind, strictly, in several versions
command FILE NAME     the command and arguments of the container NAME, one a line
"""
import sys

import jsonschema
import kubernetes_validate
import yaml

VERSIONS = ("1.29", "1.33", "1.37")
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
# A custom resource, whose schema comes with the operator and is not at hand: what we use of it.
SERVICE_MONITOR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "ServiceMonitor"},
        "metadata": {"type": "object", "required": ["name"], "properties": {"name": NAME}},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["selector", "endpoints"],
            "properties": {
                "selector": {"type": "object", "required": ["matchLabels"]},
                "endpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["port"],
                        "properties": {
                            "port": NAME,
                            "path": {"type": "string", "pattern": "^/"},
                            "interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
                        },
                    },
                },
            },
        },
    },
}


def documents(path):
    with open(path, encoding="utf-8") as file:
        return [found for found in yaml.safe_load_all(file) if found]


def check(paths):
    kinds = {}
    for path in paths:
        found = documents(path)
        if not found:
            sys.exit(f"{path}: no document")
        for document in found:
            kind = document.get("kind")
            kinds[kind] = kinds.get(kind, 0) + 1
            try:
                validate(document)
            except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
                sys.exit(f"{path}: {kind}: {error.message}")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    print(f"{counts}: valid in Kubernetes {', '.join(VERSIONS)}")
    if "ServiceMonitor" in kinds:
        print("(ServiceMonitor against a schema of ours for the fields we use, not against the operator's)")


def validate(document):
    if document.get("kind") == "ServiceMonitor":
        return jsonschema.validate(document, SERVICE_MONITOR)
    for version in VERSIONS:
        kubernetes_validate.validate(document, version, strict=True)


def command(path, name):
    for document in documents(path):
        pod = document["spec"].get("template", {}).get("spec", {})
        for container in pod.get("initContainers", []) + pod.get("containers", []):
            if container["name"] == name:
                print(*container.get("command", []), *container.get("args", []), sep="\n")
                return
    sys.exit(f"{path}: no container {name}")


if sys.argv[1] == "check":
    check(sys.argv[2:])
else:
    command(*sys.argv[2:])
