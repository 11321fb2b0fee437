"""XGBoost on a cluster of Dask workers: one run on the client's side, whichever worker has trained what."""

import dask.array
import numpy as np
import xgboost.dask
from distributed import Client, LocalCluster

import autolog


def main():
    autolog.enable(experiment="on a cluster")
    values = np.random.default_rng(0).normal(size=(2_000, 5))
    features = dask.array.from_array(values, chunks=(1_000, 5))
    targets = (features[:, 0] + features[:, 1] > 0).astype(int)
    local = LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None)
    with local, Client(local) as client:
        points = xgboost.dask.DaskDMatrix(client, features, targets)
        xgboost.dask.train(
            client,
            {"objective": "binary:logistic", "max_depth": 3},
            points,
            num_boost_round=10,
            evals=[(points, "train")],
            verbose_eval=False,
        )


if __name__ == "__main__":
    main()
