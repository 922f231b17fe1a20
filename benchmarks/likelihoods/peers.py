"""Run a peer in its own environment: ``python peers.py ngboost|cleanlab|suspects data.npz OPTIONS``.

They print one line of JSON.
"""

import json
import sys
import time

import numpy as np


def ngboost(data, options):
    """Run NGBoost's MultivariateNormal, with the number of trees that is best on validation rows."""
    from ngboost import NGBRegressor
    from ngboost.distns import MultivariateNormal
    from sklearn.model_selection import train_test_split

    X, Y, X_test, Y_test = (data[name] for name in ("X", "Y", "X_test", "Y_test"))
    # Its natural gradient assumes targets of unit size.
    mean, scale = Y.mean(axis=0), Y.std(axis=0)
    X_fit, X_val, Y_fit, Y_val = train_test_split(X, (Y - mean) / scale, test_size=0.25, random_state=0)
    start = time.perf_counter()
    best = None
    for learning_rate in (0.03, 0.1):
        model = NGBRegressor(
            Dist=MultivariateNormal(Y.shape[1]),
            n_estimators=500,
            learning_rate=learning_rate,
            verbose=False,
            random_state=0,
        )
        model.fit(X_fit, Y_fit, X_val=X_val, Y_val=Y_val, early_stopping_rounds=20)
        log_likelihood = model.pred_dist(X_val).logpdf(Y_val).mean()
        if best is None or log_likelihood > best[0]:
            best = (log_likelihood, model, learning_rate)
    _, model, learning_rate = best
    log_densities = model.pred_dist(X_test).logpdf((Y_test - mean) / scale) - np.log(scale).sum()
    return {
        "log_likelihood": float(np.mean(log_densities)),
        "learning_rate": learning_rate,
        "seconds": time.perf_counter() - start,
    }


def ngboost_tuned(data, options):
    """Run NGBoost with the learning rate, depth and number of trees that are best in three folds."""
    from ngboost import NGBRegressor
    from ngboost.distns import MultivariateNormal, Normal
    from sklearn.model_selection import KFold
    from sklearn.tree import DecisionTreeRegressor

    X, Y, X_test, Y_test = (data[name] for name in ("X", "Y", "X_test", "Y_test"))
    mean, scale = Y.mean(axis=0), Y.std(axis=0)  # its natural gradient assumes targets of unit size
    T, T_test = (Y - mean) / scale, (Y_test - mean) / scale
    if T.shape[1] == 1:
        T, T_test = T[:, 0], T_test[:, 0]
    start = time.perf_counter()

    def make(rate, depth, n_trees):
        return NGBRegressor(
            Dist=Normal if T.ndim == 1 else MultivariateNormal(T.shape[1]),
            Base=DecisionTreeRegressor(criterion="friedman_mse", max_depth=depth, random_state=0),
            n_estimators=n_trees,
            learning_rate=rate,
            verbose=False,
            random_state=0,
        )

    def score(rate, depth):
        """Return the mean log-likelihood of held-out rows, each fold with its best number of trees, and their mean."""
        found = []
        for training, rest in KFold(3, shuffle=True, random_state=0).split(X):
            model = make(rate, depth, 500)
            model.fit(X[training], T[training], X_val=X[rest], Y_val=T[rest], early_stopping_rounds=20)
            found.append((model.pred_dist(X[rest]).logpdf(T[rest]).mean(), model.best_val_loss_itr + 1))
        likelihood, n_trees = np.mean(found, axis=0)
        return likelihood, round(n_trees)

    settings = {(rate, depth): score(rate, depth) for rate in (0.03, 0.1) for depth in (2, 3, 4)}
    (rate, depth), (_, n_trees) = max(settings.items(), key=lambda item: item[1][0])
    log_densities = make(rate, depth, n_trees).fit(X, T).pred_dist(X_test).logpdf(T_test) - np.log(scale).sum()
    return {
        "log_likelihood": float(np.mean(log_densities)),
        "learning_rate": rate,
        "depth": depth,
        "n_trees": n_trees,
        "seconds": time.perf_counter() - start,
    }


def cleanlab(data, options):
    """Run cleanlab's CleanLearning around scikit-learn's MLPClassifier."""
    from cleanlab.classification import CleanLearning
    from sklearn.metrics import log_loss, roc_auc_score

    X, given, labels, X_test, y_test = (data[name] for name in ("X", "given", "labels", "X_test", "y_test"))
    start = time.perf_counter()
    net = tuned_mlp(X, given, options["seed"])
    model = CleanLearning(net, seed=options["seed"], cv_n_folds=5)
    model.fit(X, given)
    probabilities = model.predict_proba(X_test)
    quality = model.get_label_issues()["label_quality"]
    wrong = given != labels
    return {
        "accuracy": float(np.mean(model.predict(X_test) == y_test)),
        "log_loss": float(log_loss(y_test, probabilities, labels=np.arange(10))),
        "auc": float(roc_auc_score(wrong, 1 - quality)) if wrong.any() else None,
        "alpha": net.alpha,
        "seconds": time.perf_counter() - start,
    }


def tuned_mlp(X, given, seed):
    """Make an MLPClassifier with the alpha that predicts held-out given labels best."""
    from sklearn.neural_network import MLPClassifier

    nets = [
        MLPClassifier((200,), alpha=alpha, early_stopping=True, random_state=seed, max_iter=200)
        for alpha in (1e-4, 1e-2, 1.0)
    ]
    return max(nets, key=lambda net: net.fit(X, given).best_validation_score_)


def suspects(data, options):
    """Find wrong labels by cleanlab, from given out-of-sample probabilities or those of an MLPClassifier."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    given, wrong = data["given"], data["given"] != data["labels"]
    if "probabilities" in data:
        probabilities = data["probabilities"]
    else:
        folds = StratifiedKFold(5, shuffle=True, random_state=options["seed"])
        net = tuned_mlp(data["X"], given, options["seed"])
        probabilities = cross_val_predict(net, data["X"], given, cv=folds, method="predict_proba")
    found = {}
    for method in ("self_confidence", "normalized_margin"):
        ranking = find_label_issues(given, probabilities, return_indices_ranked_by=method)
        quality = get_label_quality_scores(given, probabilities, method=method)
        found[method] = {
            "auc": float(roc_auc_score(wrong, -quality)),
            "n_estimated": len(ranking),
            "n_planted": int(wrong.sum()),
            "precision": float(wrong[ranking].mean()),
            "precision_at_planted": float(wrong[np.argsort(quality)[: wrong.sum()]].mean()),
        }
    return found


PEERS = {"ngboost": ngboost, "ngboost_tuned": ngboost_tuned, "cleanlab": cleanlab, "suspects": suspects}


def main():
    """Run a peer."""
    peer, file, options = sys.argv[1:]
    with np.load(file) as data:
        result = PEERS[peer](data, json.loads(options))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
