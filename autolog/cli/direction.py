"""Which way a metric is better, as far as its name tells."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final


class Direction(str, Enum):
    """Whether more or less of a metric is better."""

    UP = "highest"
    DOWN = "lowest"


_UP: Final = re.compile(
    r"acc|accuracy|auc|aucpr|auroc|bleu|completeness|dice|f1|fbeta|homogeneity|iou|jaccard|kappa|map|mcc|ndcg"
    r"|precision|r2|recall|rouge|score|silhouette|specificity|variance"
)
_DOWN: Final = re.compile(
    r"\w*loss|\w*error|bouldin|brier|cer|deviance|duration|err|fid|hinge|inertia|latency|mae|mape|mse|msle|perplexity"
    r"|ppl|rank|rmse|rmsle|seconds|time|wer"
)
_WORD: Final = re.compile(r"[a-z]+\d*|\d+")


def guess_direction(metric: str) -> Direction | None:
    """Return which way a metric is better by the words of its name; None where they do not tell.

    What is lost, wrong or slow is better when lower, also where it is called a score; scikit-learn's ``neg_`` metrics
    are losses turned round.
    """
    words = _WORD.findall(metric.lower())
    if "neg" in words:
        return Direction.UP
    if any(map(_DOWN.fullmatch, words)):
        return Direction.DOWN
    return Direction.UP if any(map(_UP.fullmatch, words)) else None
