"""Histograms, similarity scores, heat map and analysis tables of a set of features."""
