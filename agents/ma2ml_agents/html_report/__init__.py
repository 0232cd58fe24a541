"""Report of runs as one interactive HTML page, written to a file or served while a search runs."""

from ma2ml_agents.html_report.page import report_page, write_report
from ma2ml_agents.html_report.run import Run
from ma2ml_agents.html_report.server import WatchServer

__all__ = ["Run", "WatchServer", "report_page", "write_report"]
