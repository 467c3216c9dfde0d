"""An element whose study was revised while it waited runs what is left, and gives back the rest."""

from stilt.folder import write_study


def test_an_element_gives_back_what_its_study_lost_while_it_waited(element):
    after = [cell.id for cell in element.study.cells.values() if cell.source_id is not None]
    element.submit("target", [*after, element.cells[0]])
    element.submit("source", element.study.sources)
    table = element.study.model_dump()
    table["grid"]["blocks"][0]["sources"] = ["none"]
    write_study(type(element.study).model_validate(table), element.folder)
    (source,) = element.study.sources
    assert element.run("source") == f"{source}: the study no longer has it"
    assert element.run("target") == "1 cell"
    assert element.held() == set()
    assert element.scored() == {element.cells[0]}
    assert not list(element.folder.failures.glob("*"))
