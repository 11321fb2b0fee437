"""The trainings of ``autolog demo``: plain scikit-learn on its bundled data, without one line of logging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


def logistic_regression() -> None:
    """Tell malignant from benign with a scaled linear model."""
    x_train, x_test, y_train, y_test = _split(load_breast_cancer)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=500))
    model.fit(x_train, y_train).score(x_test, y_test)


def random_forest() -> None:
    """Tell malignant from benign with a forest."""
    x_train, x_test, y_train, y_test = _split(load_breast_cancer)
    model = RandomForestClassifier(n_estimators=100, max_depth=6, random_state=0)
    model.fit(x_train, y_train).score(x_test, y_test)


def gradient_boosting() -> None:
    """Tell malignant from benign with boosted trees."""
    x_train, x_test, y_train, y_test = _split(load_breast_cancer)
    model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8, random_state=0)
    model.fit(x_train, y_train).score(x_test, y_test)


def support_vectors() -> None:
    """Tell malignant from benign with a kernel."""
    x_train, x_test, y_train, y_test = _split(load_breast_cancer)
    model = make_pipeline(StandardScaler(), SVC(C=2.0, kernel="rbf"))
    model.fit(x_train, y_train).score(x_test, y_test)


def grid_search() -> None:
    """Search for the best support vectors on the wines."""
    x_train, x_test, y_train, y_test = _split(load_wine)
    pipeline = make_pipeline(StandardScaler(), SVC())
    grid = {"svc__C": [0.1, 1.0, 10.0], "svc__kernel": ["linear", "rbf"]}
    search = GridSearchCV(pipeline, grid, cv=3)
    search.fit(x_train, y_train).score(x_test, y_test)


def nearest_neighbours() -> None:
    """Read handwritten digits by the ones that look alike."""
    x_train, x_test, y_train, y_test = _split(load_digits)
    model = KNeighborsClassifier(n_neighbors=5)
    model.fit(x_train, y_train).score(x_test, y_test)


def neural_network() -> None:
    """Read handwritten digits with a small network."""
    x_train, x_test, y_train, y_test = _split(load_digits)
    model = MLPClassifier(hidden_layer_sizes=(64,), early_stopping=True, max_iter=60, random_state=0)
    model.fit(x_train / 16, y_train).score(x_test / 16, y_test)


def ridge() -> None:
    """Predict how diabetes goes on, with small weights."""
    x_train, x_test, y_train, y_test = _split(load_diabetes)
    Ridge(alpha=0.1).fit(x_train, y_train).score(x_test, y_test)


def lasso() -> None:
    """Predict how diabetes goes on, with few weights."""
    x_train, x_test, y_train, y_test = _split(load_diabetes)
    Lasso(alpha=0.1).fit(x_train, y_train).score(x_test, y_test)


def clusters() -> None:
    """Find three groups of wines without being told which there are."""
    x, _ = load_wine(return_X_y=True)
    KMeans(n_clusters=3, random_state=0).fit(StandardScaler().fit_transform(x))


TRAININGS: tuple[Callable[[], None], ...] = (
    logistic_regression,
    random_forest,
    gradient_boosting,
    support_vectors,
    grid_search,
    nearest_neighbours,
    neural_network,
    ridge,
    lasso,
    clusters,
)


def _split(load: Callable[..., Any]) -> Any:
    x, y = load(return_X_y=True)
    return train_test_split(x, y, test_size=0.25, random_state=0)
