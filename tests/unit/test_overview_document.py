"""Records of the core that the overview shows as they are have the fields that its document names."""

from dataclasses import fields
from typing import get_type_hints

import pytest

from langcache_cli.caching.tooling import LoggedEvent, ServerReport
from langcache_cli.operations.overview.document import Event, Server


@pytest.mark.parametrize(("record", "document"), [(LoggedEvent, Event), (ServerReport, Server)])
def test_a_record_has_the_fields_of_its_document(record, document):
    assert {field.name for field in fields(record)} == set(get_type_hints(document))
