"""The CHECKs of each database list the values of the vocabularies in db.tables."""

import re
from typing import get_args

import pytest
from sqlalchemy import inspect

from db.tables import (
    CourseStatus,
    DeploymentKind,
    EnrolmentSource,
    InteractionKind,
    Role,
    Source,
    StoredText,
    TextLimit,
    TopicKind,
    Verdict,
)
from service.nlp import document

VOCABULARIES = {
    ("users", "ck_users_role"): Role,
    ("documents", "ck_documents_text_stored"): StoredText,
    ("documents", "ck_documents_text_limit"): TextLimit,
    ("scans", "ck_scans_source"): Source,
    ("feedback", "ck_feedback_verdict"): Verdict,
    ("api_interactions", "ck_api_interactions_kind"): InteractionKind,
    ("deployments", "ck_deployments_kind"): DeploymentKind,
    ("courses", "ck_courses_status"): CourseStatus,
    ("course_topics", "ck_course_topics_kind"): TopicKind,
    ("enrolments", "ck_enrolments_source"): EnrolmentSource,
}


@pytest.mark.parametrize(("table", "name"), VOCABULARIES)
def test_check_of_the_database_lists_the_vocabulary(database, table, name):
    with database.engine.connect() as connection:
        checks = inspect(connection).get_check_constraints(table)
    [check] = [check["sqltext"] for check in checks if check["name"] == name]
    assert re.findall(r"'([\w-]+)'", check) == list(VOCABULARIES[table, name])


def test_sources_of_analyzers_are_those_of_stored_scans():
    assert get_args(document.Source) == tuple(Source)
