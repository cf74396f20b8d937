"""Tells the tuning service how good a trial is.

The Python package cloudml-hypertune does that where it is installed. Elsewhere
the class here does the same: it writes the reports to the file that the service
names, one JSON object a line.
"""

import collections
import json
import os
import time

KEPT = 100  # reports, as cloudml-hypertune


def reporter():
    """Return an object with a method report_hyperparameter_tuning_metric."""
    try:
        import hypertune
    except ImportError:
        return Reporter()
    return hypertune.HyperTune()


class Reporter:
    def __init__(self):
        self.path = os.environ.get("CLOUD_ML_HP_METRIC_FILE", "/tmp/hypertune/output.metrics")
        self.trial = os.environ.get("CLOUD_ML_TRIAL_ID", "0")
        self.reports = collections.deque(maxlen=KEPT)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)

    def report_hyperparameter_tuning_metric(self, hyperparameter_metric_tag, metric_value, global_step=None):
        self.reports.append({
            "timestamp": time.time(),
            "trial": self.trial,
            hyperparameter_metric_tag: str(float(metric_value)),
            "global_step": str(int(global_step or 0)),
        })
        with open(self.path, "w") as file:
            for report in self.reports:
                file.write(json.dumps(report, sort_keys=True) + "\n")
