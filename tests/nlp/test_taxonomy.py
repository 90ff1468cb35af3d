"""A taxonomy is read from its file, or refused with every fault."""

import json
from pathlib import Path

import pytest

from service.errors import ArtifactError
from service.nlp.taxonomy import built_in, key_named, parse_taxonomy, read_taxonomy
from tests.support.own_taxonomy import OWN


def written(folder: Path, edit) -> Path:
    content = json.loads(OWN.as_json())
    edit(content["categories"], content)
    path = folder / "taxonomy.json"
    path.write_text(json.dumps(content))
    return path


def test_taxonomy_written_and_read_again_is_equal():
    for taxonomy in (OWN, built_in()):
        assert parse_taxonomy(taxonomy.as_json()) == taxonomy


def test_columns_have_their_categories():
    assert OWN.category_by_column == ("money", "money", "plant", "plant")
    assert [OWN.category_of(key) for key in OWN.risk_types] == [*OWN.category_by_column]


@pytest.mark.parametrize("taxonomy", [OWN, built_in()])
def test_every_key_and_title_names_one_entry(taxonomy):
    for titles in (taxonomy.category_titles, taxonomy.risk_titles):
        names = [*titles, *titles.values()]
        assert [key_named(name.upper(), titles) for name in names] == [*titles] * 2


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda c, _: c["plant"]["risks"]["rush"].update(title="Late Money"), "'late money' names"),
        (lambda c, _: c["plant"].update(title="Money"), "'money' names two categories"),
        (lambda c, _: c["plant"]["risks"].update(Rush=c["plant"]["risks"]["rush"]), "Rush"),
        (lambda c, _: c["plant"]["risks"].clear(), "plant.risks"),
        (lambda c, _: c["plant"]["risks"]["rush"].pop("example"), "rush.example"),
        (lambda c, _: c["plant"]["risks"]["rush"].update(definition=" "), "rush.definition"),
        (lambda c, _: c.update(none=c.pop("plant")), "'none' cannot be the key"),
        (lambda _, content: content.pop("version"), "version"),
    ],
)
def test_faulty_file_is_refused_with_its_fault(tmp_path, edit, fault):
    with pytest.raises(ArtifactError, match=fault):
        read_taxonomy(written(tmp_path, edit), remedy="Correct it.")


def test_titles_of_a_type_that_the_taxonomy_lacks_are_its_keys():
    assert OWN.risk_title("defects", None) == "defects"
    assert OWN.category_title(None, "Finanzen") == "Finanzen"
