"""What the report asks of a root: every query of sql/reports that it needs, with its answer as plain rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from curate import schema
from curate.io.warehouse import Warehouse, read_sql
from curate.plugins import Project, sql_report
from curate.sample import Sample

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Questions:
    """An open root, and the project whose sql/reports are asked."""

    warehouse: Warehouse
    project: Project
    _of_mixes: dict[str, list[Row]] = field(default_factory=dict)

    def rows(self, report: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        """Return the answer of sql/reports/REPORT.sql as dictionaries.

        Raises:
            ConfigError: no such report, or DuckDB refuses it.
        """
        sql = read_sql(sql_report(report, self.project))
        return list(self.warehouse.table(sql, parameters or {}).to_pylist())

    def of_mix(self, report: str, mix: str, digest: str) -> list[Row]:
        """Return what a report of sql/reports that tells of the last plan of every mix says of this one."""
        if report not in self._of_mixes:
            self._of_mixes[report] = self.rows(report)
        return [row for row in self._of_mixes[report] if (row["mix"], row["digest"]) == (mix, digest)]

    def columns(self) -> dict[str, list[str]]:
        """Return relation → its columns, in order."""
        found: dict[str, list[str]] = {}
        for row in self.rows("report_columns"):
            found.setdefault(row["relation"], []).append(row["column"])
        return found

    def values(self, relation: str, column: str, ids: Sequence[str]) -> dict[str, float | None]:
        """Return sample id → what one score says of it."""
        asked = {"relation": relation, "column": column, "ids": list(ids)}
        return {row["sample_id"]: row["value"] for row in self.rows("report_values", asked)}

    def originals(self, dataset: str, ids: Sequence[str]) -> dict[str, Sample]:
        """Return sample id → sample."""
        found = self.rows("report_originals", {"dataset": dataset, "ids": list(ids)})
        return {row["sample_id"]: schema.from_row(row) for row in found}
