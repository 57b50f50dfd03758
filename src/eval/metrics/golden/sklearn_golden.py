#!/usr/bin/env python3
"""Writes sklearn.json: the metrics of random predictions as scikit-learn computes them.

    /usr/bin/python3 sklearn_golden.py > sklearn.json

Made with scikit-learn 1.2.1 of Debian 12 (python3-sklearn). That package needs Boost 1.74's headers, which
exclude the Boost 1.81 that Volant builds with, so the values are kept here and the packages are not installed
by the tests.
"""
import json

import numpy as np
from sklearn import metrics

rng = np.random.default_rng(7)


def classes(n, c, noise):
    truth = rng.integers(0, c, n)
    scores = rng.normal(size=(n, c)) * noise
    scores[np.arange(n), truth] += 1
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    probabilities = np.round(probabilities, 4)
    probabilities[:, 0] += 1 - probabilities.sum(1)
    probabilities = np.abs(np.round(probabilities, 4))
    predicted = probabilities.argmax(1)
    out = {"n_classes": c, "truth": truth.tolist(), "predicted": predicted.tolist(),
           "probabilities": probabilities.ravel().tolist(),
           "confusion": metrics.confusion_matrix(truth, predicted, labels=range(c)).ravel().tolist(),
           "accuracy": metrics.accuracy_score(truth, predicted),
           "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
           "matthews_correlation": metrics.matthews_corrcoef(truth, predicted),
           "cohen_kappa": metrics.cohen_kappa_score(truth, predicted),
           "log_loss": metrics.log_loss(truth, probabilities, labels=range(c))}
    for average in ("micro", "macro", "weighted"):
        p, r, f, _ = metrics.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0)
        out[average] = [p, r, f]
    if c > 2 and len(set(truth.tolist())) == c:
        out["top_2"] = metrics.top_k_accuracy_score(truth, probabilities, k=2, labels=range(c))
        out["roc_auc_one_vs_rest"] = float(np.mean(
            [metrics.roc_auc_score(truth == k, probabilities[:, k]) for k in range(c)]))
    return out


def binary(n, digits):
    truth = (rng.random(n) < 0.3).astype(int)
    scores = np.round(1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * truth - 1))), digits)
    fpr, tpr, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    return {"truth": truth.tolist(), "scores": scores.tolist(), "fpr": fpr.tolist(), "tpr": tpr.tolist(),
            "roc_auc": metrics.roc_auc_score(truth, scores),
            "average_precision": metrics.average_precision_score(truth, scores),
            "brier_score": metrics.brier_score_loss(truth, scores)}


def regression(n):
    truth = rng.normal(size=n) * 3 + 1
    predicted = truth + rng.normal(size=n)
    return {"truth": truth.tolist(), "predicted": predicted.tolist(),
            "mean_squared_error": metrics.mean_squared_error(truth, predicted),
            "mean_absolute_error": metrics.mean_absolute_error(truth, predicted),
            "r_squared": metrics.r2_score(truth, predicted)}


def ranking(n, ties):
    relevance = rng.integers(0, 4, n)
    scores = np.round(rng.normal(size=n) + relevance / 2, 0 if ties else 6)
    return {"relevance": relevance.tolist(), "scores": scores.tolist(),
            "ndcg": metrics.ndcg_score([relevance], [scores]),
            "ndcg_5": metrics.ndcg_score([relevance], [scores], k=5)}


print(json.dumps({"classes": [classes(60, 4, 1.0), classes(40, 2, 1.5), classes(30, 9, 0.8)],
                  "binary": [binary(80, 6), binary(120, 1)], "regression": regression(50),
                  "ranking": [ranking(20, False), ranking(25, True)]}, indent=0).replace(",\n", ",").replace("[\n", "["))
