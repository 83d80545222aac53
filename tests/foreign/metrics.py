"""Reads a centre's metrics with the parser of the Prometheus project: metrics.py HOST:PORT

Prints one JSON object: each sample's name with its labels, and its value; and what /health and /ready answered.
"""

import json
import sys
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

address = sys.argv[1]


def get(path):
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


status, text = get("/metrics")
assert status == 200, (status, text)
samples = {}
for family in text_string_to_metric_families(text):
    assert family.documentation and family.type in ("counter", "gauge"), family
    for sample in family.samples:
        labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
        samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
print(json.dumps({"samples": samples, "health": get("/health")[0], "ready": get("/ready")[0], "text": text}))
