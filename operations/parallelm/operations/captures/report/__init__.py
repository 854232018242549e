"""The report inside a capture: one HTML file that needs no network, no script and no other file."""

from parallelm.operations.captures.report.findings import ReportFindings, read_findings
from parallelm.operations.captures.report.page import report_html

__all__ = ["ReportFindings", "read_findings", "report_html"]
