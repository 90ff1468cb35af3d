"""`blocks`: lists, adds and removes blocked networks."""


def test_blocks_are_added_listed_and_removed(riskscan):
    added = riskscan("blocks", "add", "2001:db8::/32", "--reason", "scrapes")
    assert added.stdout.startswith("2001:db8::/32 is blocked; its id is ")
    until = ("--until", "2099-01-01 10:00:00")
    riskscan("blocks", "add", "192.0.2.7", "--reason", "tries passwords", *until)
    newest, oldest = riskscan("blocks", "list").stdout.splitlines()
    assert newest.endswith("192.0.2.7/32  until 2099-01-01 10:00 UTC  tries passwords")
    assert oldest.endswith("2001:db8::/32  until removed  scrapes")
    assert riskscan("blocks", "remove", oldest.split()[0]).returncode == 0
    assert riskscan("blocks", "list").stdout.splitlines() == [newest]
    again = riskscan("blocks", "remove", oldest.split()[0])
    assert (again.returncode, again.stdout) == (1, "")


def test_block_of_this_machine_is_refused(riskscan):
    refused = riskscan("blocks", "add", "127.0.0.0/8", "--reason", "x")
    assert refused.returncode == 1
    assert "127.0.0.1" in refused.stderr
