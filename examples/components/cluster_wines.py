"""A clustering: do 178 Italian wines fall into their three cultivars by chemistry alone?"""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from parallelm.mlops import StatCategory, mlops
from parallelm.mlops.metrics_constants import ClusteringMetrics
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.graph import MultiGraph
from parallelm.mlops.stats.table import Table

CULTIVARS = 3


def main() -> None:
    """Cluster, compare with the cultivars, describe the clusters."""
    mlops.init()
    wines = load_wine(as_frame=True)
    scaled = StandardScaler().fit_transform(wines.data)
    clusters = KMeans(CULTIVARS, n_init=5, random_state=7).fit(scaled)

    mlops.set_stat("clusters", CULTIVARS, StatCategory.CONFIG)
    mlops.set_stat("inertia", clusters.inertia_)
    mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(scaled))
    report_metrics(scaled, wines.target, clusters.labels_)
    report_clusters(wines.data, clusters.labels_)
    report_elbow(scaled)
    mlops.done()


def report_metrics(scaled, truth, found) -> None:
    """Agreement with the cultivars, and two figures that need no true labels."""
    metrics = mlops.metrics
    metrics.adjusted_mutual_info_score(truth, found)
    metrics.adjusted_rand_score(truth, found)
    metrics.calinski_harabaz_score(scaled, found)
    metrics.completeness_score(truth, found)
    metrics.fowlkes_mallows_score(truth, found)
    metrics.homogeneity_score(truth, found)
    metrics.homogeneity_completeness_v_measure(truth, found)
    metrics.mutual_info_score(truth, found)
    metrics.normalized_mutual_info_score(truth, found)
    metrics.v_measure_score(truth, found)
    metrics.cluster.contingency_matrix(truth, found)
    silhouette = metrics.silhouette_score(scaled, found)
    # A value that was computed before can be reported under its standard name.
    mlops.set_stat(ClusteringMetrics.SILHOUETTE_SCORE, round(silhouette, 2))


def report_clusters(chemistry, found) -> None:
    """One row for each cluster: its size and its centre."""
    columns = ["alcohol", "color_intensity", "proline"]
    table = Table().name("clusters by chemistry").cols(["wines", *columns])
    for cluster in np.unique(found):
        members = chemistry[found == cluster]
        table.add_row(f"cluster {cluster}", [len(members), *members[columns].mean().round(3)])
    mlops.set_stat(table)


def report_elbow(scaled) -> None:
    """Inertia by number of clusters, for all wines and for every other one, to find the bend."""
    graph = MultiGraph().name("elbow").x_title("clusters").y_title("inertia by wine").set_continuous()
    for label, data, counts in (("all", scaled, range(2, 8)), ("every other", scaled[::2], range(2, 6))):
        inertia = [KMeans(k, n_init=2, random_state=7).fit(data).inertia_ / len(data) for k in counts]
        graph.add_series(x=list(counts), y=inertia, label=label)
    mlops.set_stat(graph.annotate("cultivars", x=CULTIVARS))


if __name__ == "__main__":
    main()
