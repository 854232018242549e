"""Statistic objects that ``mlops.set_stat`` reports."""
