"""The demo: a real year of flights replayed through the whole platform, and what the warehouse then shows."""
