"""What a reader must be told of odd cases: normal nodes that turn up, lesions that are cut, drawn twice, or in pieces."""

from __future__ import annotations

from helpers_assess import evidence, ref, seen
from LongitudinalCompareLib import reading_acts as act
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.reading import Reading

LIVER = {"Lesion 1": ((20.0, 20.0, 20.0), 8.0)}


def test_a_normal_node_that_turns_up_is_not_called_new():
    small, large = ({**LIVER, "Node": ((45.0, 45.0, 45.0), radius)} for radius in (3.0, 8.0))
    dates = evidence(seen(0, LIVER), seen(1, small), seen(2, large))
    found = assess(dates, Reading((act.role(ref(1, "Node"), node=True),)))
    assert found.track("Node").entries[1].value("short_axis_mm") < 10
    first, second = found.criterion("recist11").proposals
    assert first.category == "SD" and not any("counts as new" in one for one in first.cautions)
    assert second.category == "PD" and any("Node counts as new" in one for one in second.cautions)
    assert [one.timepoint for one in found.flags if one.kind == "new"] == [2]
