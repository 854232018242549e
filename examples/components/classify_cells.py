"""A scikit-learn classifier of malignant and benign cells, with most of the metrics of classifiers."""

import pickle
import tempfile
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from parallelm.mlops import StatCategory, mlops
from parallelm.mlops.metrics_constants import ClassificationMetrics
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.predefined_stats import PredefinedStats

REGULARISATION = 0.5


def main() -> None:
    """Train, measure on the rows held out, publish."""
    mlops.init()
    cells, benign = load_breast_cancer(return_X_y=True, as_frame=True)
    train, test, y_train, y_test = train_test_split(cells, benign, test_size=0.3, random_state=7)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION))
    classifier.fit(train, y_train)

    mlops.set_stat("regularisation", REGULARISATION, StatCategory.CONFIG)
    mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(test))
    report_metrics(classifier, test, y_test)
    publish(classifier, train)
    mlops.done()


def report_metrics(classifier, test, truth) -> None:
    """Each call computes with scikit-learn, reports, and returns scikit-learn's value."""
    guess = classifier.predict(test)
    chance = classifier.predict_proba(test)[:, 1]
    metrics = mlops.metrics
    metrics.accuracy_score(truth, guess)
    metrics.balanced_accuracy_score(truth, guess)
    metrics.average_precision_score(truth, chance)
    metrics.brier_score_loss(truth, chance)
    metrics.cohen_kappa_score(truth, guess)
    metrics.f1_score(truth, guess)
    metrics.fbeta_score(truth, guess, beta=2)
    metrics.hamming_loss(truth, guess)
    metrics.hinge_loss(truth, classifier.decision_function(test))
    metrics.jaccard_similarity_score(truth, guess)
    metrics.log_loss(truth, chance)
    metrics.matthews_corrcoef(truth, guess)
    metrics.precision_score(truth, guess)
    metrics.recall_score(truth, guess)
    metrics.roc_auc_score(truth, chance)
    metrics.zero_one_loss(truth, guess)
    metrics.classification_report(truth, guess, target_names=["malignant", "benign"])
    metrics.confusion_matrix(truth, guess, labels=[0, 1])
    metrics.precision_recall_curve(truth, chance)
    false_positives, true_positives, _ = metrics.roc_curve(truth, chance)
    metrics.auc(false_positives, true_positives)
    # The same statistics can be reported from values that were computed before.
    found = (guess[truth == 0] == 0).mean()
    recognised = (guess[truth == 1] == 1).mean()
    mlops.set_stat(
        ClassificationMetrics.RECALL_SCORE,
        [found, recognised],
        labels=["malignant found", "benign recognised"],
    )


def publish(classifier, train) -> None:
    """Publish the model with the distribution of its training data and its most important features."""
    model = mlops.Model("cells", ModelFormat.SCIKIT_LEARN_3, "malignant or benign")
    model.set_annotations({"rows": len(train), "data": "breast cancer, Wisconsin"})
    model.set_data_distribution_stat(train)
    importance = abs(classifier[-1].coef_[0])
    model.feature_importance(feature_importance_vector=importance, feature_names=list(train.columns))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cells.pickle")
        path.write_bytes(pickle.dumps(classifier))
        model.set_model_path(path)
        mlops.publish_model(model)


if __name__ == "__main__":
    main()
