"""The made-up workspace: the same for the same seed, and what changes in it."""

import pytest

from simulator import World

NOW = 1_800_000_042.5
MINUTE = 1_800_000_000


def test_the_seed_decides_everything():
    assert World(5).records() == World(5).records()
    assert World(5).records() != World(6).records()


def test_it_has_as_many_of_each_kind_as_asked_for():
    world = World(users=4, pages=5, data_sources=2, rows=3)
    assert {kind: len(world.ids(kind)) for kind in ("user", "page", "data_source", "row")} == {
        "user": 4,
        "page": 5,
        "data_source": 2,
        "row": 6,
    }
    for source in world.ids("data_source"):
        assert len(world.records("row", source)) == 3
    ids = [record.id for record in world.records()]
    assert len(set(ids)) == len(ids)


def test_times_are_whole_minutes_and_no_edit_comes_before_the_creation():
    for record in World().records():
        assert record.created % 60 == record.edited % 60 == 0
        assert record.created <= record.edited <= 1_767_225_600


def test_an_edit_gives_a_new_title_and_the_minute_of_the_edit():
    world = World()
    page = world.get(world.ids("page")[0])
    first, second = world.edit(page.id, NOW), world.edit(page.id, NOW + 60)
    assert (first.title, first.edited, first.revision) == (f"{page.title} (revision 2)", MINUTE, 2)
    assert (second.title, second.edited, second.revision) == (f"{page.title} (revision 3)", MINUTE + 60, 3)
    assert second.created == page.created
    assert world.get(page.id) == second


def test_a_removed_page_is_in_the_trash_but_can_be_fetched():
    world = World()
    page = world.ids("page")[0]
    world.remove(page)
    assert page not in world.ids("page")
    assert world.get(page).in_trash


def test_a_data_source_takes_its_rows_with_it():
    world = World(data_sources=2, rows=4)
    gone, kept = world.ids("data_source")
    world.remove(gone)
    assert {row.parent for row in world.records("row")} == {kept}
    with pytest.raises(KeyError):
        world.add_row(gone, now=NOW)


def test_a_removed_user_is_gone():
    world = World()
    user = world.ids("user")[0]
    world.remove(user)
    with pytest.raises(KeyError):
        world.get(user)


def test_what_is_added_is_listed():
    world = World()
    source = world.ids("data_source")[0]
    page, user = world.add_page("New policy", now=NOW), world.add_user("Grace", now=NOW)
    row = world.add_row(source, "New row", now=NOW)
    assert page in world.ids("page")
    assert user in world.ids("user")
    assert world.get(row).parent == source
    assert {world.get(each).title for each in (page, user, row)} == {"New policy", "Grace", "New row"}
    assert {world.get(each).created for each in (page, user, row)} == {MINUTE}


@pytest.mark.parametrize("change", [lambda world: world.edit("nobody", NOW), lambda world: world.remove("nobody")])
def test_what_does_not_exist_cannot_be_changed(change):
    with pytest.raises(KeyError):
        change(World())


def test_each_change_raises_the_version():
    world = World()
    page, versions = world.ids("page")[0], [world.version]
    for change in (
        lambda: world.edit(page, NOW),
        lambda: world.add_page(now=NOW),
        lambda: world.add_user(now=NOW),
        lambda: world.add_row(world.ids("data_source")[0], now=NOW),
        lambda: world.remove(page),
        lambda: world.remove(world.ids("user")[0]),
        lambda: world.remove(world.ids("data_source")[0]),
    ):
        change()
        versions.append(world.version)
    assert versions == sorted(set(versions))
