"""Whether both sides agree: asked of a Rehook that does, and of one that was told not to."""

from urllib.parse import quote

import pytest

from .conftest import SECRET, Shop, make_shop


@pytest.fixture
def sent(shop: Shop) -> Shop:
    """A shop whose customers Rehook has."""
    assert shop.ready()("run", "--since", "beginning", "--json").code == 0
    shop.sandbox.store.log.clear()
    return shop


def owner(shop: Shop) -> tuple[str, str]:
    """A customer with a code that Rehook accepted."""
    user_id, code = shop.execute("SELECT source_id, accepted_code FROM sync_customers WHERE accepted_code IS NOT NULL ORDER BY 1 LIMIT 1")[
        0
    ]
    return str(user_id), str(code)


def test_both_sides_agree_after_a_run_and_nothing_is_written(sent: Shop) -> None:
    before, customers = sent.database.read_bytes(), len(sent.sandbox.store.customers)
    done = sent("verify", "--sample", "1000")
    assert (done.code, done.err) == (0, "")
    codes = sent.execute("SELECT count(*) FROM sync_customers WHERE accepted_code IS NOT NULL AND last_sent_at IS NOT NULL")[0][0]
    assert done.out == f"both sides agree\n{customers} customers and {codes} referral codes asked for; nothing was written\n"
    assert {each.method for each in sent.sandbox.store.log} == {"GET"}
    assert len(sent.sandbox.store.log) == customers + codes
    assert sent.database.read_bytes() == before
    few = sent("verify", "--sample", "7", "--json").json
    assert (few["agrees"], few["customers"], few["differences"]) == (True, 7, [])


def test_a_customer_and_a_code_that_rehook_does_not_have_are_listed(sent: Shop) -> None:
    user_id, code = owner(sent)
    sent.sandbox.faults.add("status", status=404, method="GET", path=f"/customers/{quote(user_id, safe='')}")
    sent.sandbox.faults.add("status", status=404, method="GET", path=f"/customers/validate-code/{quote(code, safe='')}")
    done = sent("verify", user_id)
    assert done.code == 3
    assert done.out.splitlines() == [
        "the two sides disagree in 2 things",
        "1 customer and 1 referral code asked for; nothing was written",
        f"  {user_id}  was sent, and Rehook has no such customer",
        f"  {user_id}  its code {code} was accepted, and Rehook knows no owner of it",
        "next  python -m rehook_sync refresh",
    ]
    differences = sent("verify", "--sample", "1000", "--json").json["differences"]
    assert [(each["user_id"], each["kind"], each["code"]) for each in differences] == [
        (user_id, "no_customer", None),
        (user_id, "no_code", code),
    ]


def test_what_it_says_mends_a_lost_customer(sent: Shop) -> None:
    user_id, code = owner(sent)
    del sent.sandbox.store.customers[user_id], sent.sandbox.store.owners[code]
    assert sent("verify", user_id).code == 3
    assert sent("refresh", "--json").code == 0
    assert sent("verify", user_id).code == 0


def test_another_customer_in_an_answer_counts_and_unknown_fields_do_not(sent: Shop) -> None:
    user_id, code = owner(sent)
    fault = sent.sandbox.faults.add("another_customer", method="GET", path="/customers/validate-code/*")
    done = sent("verify", user_id, "--json")
    assert done.code == 3
    (difference,) = done.json["differences"]
    assert (difference["kind"], difference["other"], difference["code"]) == ("another_owner", "somebody-else", code)
    assert difference["next"] == "python -m rehook_sync explain --ask somebody-else"
    sent.sandbox.faults.remove(fault.id)
    sent.sandbox.faults.add("status", status=200, method="GET")
    assert sent("verify", user_id).code == 0, "an answer that names nobody says nothing against it"


def test_ids_that_were_never_sent_are_said_and_do_not_disagree(sent: Shop) -> None:
    done = sent("verify", "nobody", "../customers", "a/b ?#ü")
    assert done.code == 0
    assert "nobody: never sent by these tables; Rehook does not have such a customer" in done.out
    paths = [each.path for each in sent.sandbox.store.log]
    assert sorted(paths) == sorted(f"/customers/{quote(each, safe='')}" for each in ("nobody", "../customers", "a/b ?#ü"))


def test_it_keeps_to_the_rate_limit_and_waits_as_it_is_told(sent: Shop) -> None:
    sent.sandbox.faults.add("rate_limited", method="GET", times=2, retry_after_s=0)
    sent.sandbox.faults.add("status", status=500, method="GET", times=1)
    assert sent("verify", "--sample", "10", REHOOK_SYNC_RATE_LIMIT="100").code == 0
    times = sorted(each.at for each in sent.sandbox.store.log)
    assert times[-1] - times[0] > (len(times) - 4) / 100


@pytest.mark.parametrize(("status", "kind"), [(401, "CredentialsRefusedError"), (503, "ApiDownError")])
def test_a_rehook_that_does_not_answer_is_no_disagreement(sent: Shop, status: int, kind: str) -> None:
    sent.sandbox.faults.add("status", status=status, method="GET")
    done = sent("verify", "--json", REHOOK_SYNC_MAX_ATTEMPTS="1", REHOOK_SYNC_API_SECRET=SECRET)
    assert (done.code, done.json["error"]["type"]) == (4, kind)
    assert SECRET not in done.out + done.err


def test_another_rehook_than_the_tables_belong_to_is_not_asked(sent: Shop) -> None:
    done = sent("verify", REHOOK_SYNC_API_KEY="another")
    assert done.code == 2
    assert sent.sandbox.store.log == []


def test_nothing_sent_is_nothing_to_ask(shop: Shop) -> None:
    assert shop.ready()("verify").out == "both sides agree\n0 customers and 0 referral codes asked for; nothing was written\n"


def test_explain_adds_the_side_of_rehook(sent: Shop) -> None:
    user_id, code = owner(sent)
    assert "  it has the customer and the code, as is recorded here" in sent("explain", user_id, "--ask").out
    message_id = sent.execute("SELECT message_id FROM sync_state WHERE user_id = ? LIMIT 1", user_id)[0][0]
    assert sent("explain", message_id, "--ask", "--json").json["at_rehook"]["agrees"] is True
    sent.sandbox.faults.add("another_customer", method="GET", path="/customers/validate-code/*")
    shown = sent("explain", user_id, "--ask")
    assert shown.code == 0
    assert f"  its code {code} was accepted, and at Rehook somebody-else owns it" in shown.out
    assert "it does not have this customer, to whom nothing was sent from here" in sent("explain", "nobody", "--ask").out
    assert "Rehook was asked" not in sent("explain", user_id).out


def test_verify_on_postgresql(postgres_url: str, shop: Shop) -> None:
    made = make_shop(shop.program.folder, postgres_url, shop.sandbox, start_at="beginning")
    assert made("init").code == made("run", "--json").code == 0
    done = made("verify", "--json")
    assert (done.code, done.json["agrees"]) == (0, True)
    assert done.json["customers"] > 20
    assert made("verify", "nobody").code == 0
