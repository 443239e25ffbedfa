"""Who a certificate says one is, and what lists allow."""

from __future__ import annotations

import pytest

from vyked_host.model.identity import NOBODY, allowed, may_serve, of_certificate, of_mesh

CN = ((("commonName", "cn"),),)


@pytest.mark.parametrize(
    ("certificate", "identity"),
    [
        ({"subjectAltName": (("DNS", "a.internal"), ("URI", "spiffe://shop/a")), "subject": CN}, "spiffe://shop/a"),
        ({"subjectAltName": (("IP Address", "10.0.0.1"), ("DNS", "a.internal")), "subject": CN}, "a.internal"),
        ({"subjectAltName": (("IP Address", "10.0.0.1"),), "subject": CN}, "cn"),
        ({"subject": ((("organizationName", "shop"),), (("commonName", ""),))}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_identity_is_the_first_uri_else_the_first_dns_name_else_the_common_name(certificate, identity):
    assert of_certificate(certificate) == identity


@pytest.mark.parametrize(
    ("identity", "entries", "yes"),
    [
        ("spiffe://shop/a", ["spiffe://shop/a"], True),
        ("spiffe://shop/a", ["spiffe://shop/*"], True),
        ("spiffe://shopping/a", ["spiffe://shop/*"], False),
        ("spiffe://shop/ab", ["spiffe://shop/a"], False),
        ("anybody", ["*"], True),
        (None, ["*"], False),
        ("", ["*", ""], False),
        ("a", [], False),
        ("a", NOBODY, False),
        ("a", ["A"], False),
    ],
)
def test_a_list_allows_whom_it_names(identity, entries, yes):
    assert allowed(identity, entries) is yes


def test_a_service_is_served_by_whom_its_key_names_and_by_everybody_without_one():
    table = {"payments": ["spiffe://shop/payments"], "nobody": []}
    assert may_serve("spiffe://shop/payments", "payments", table)
    assert not may_serve("spiffe://shop/orders", "payments", table)
    assert not may_serve(None, "payments", table)
    assert not may_serve("spiffe://shop/payments", "nobody", table)
    assert may_serve(None, "orders", table)


def test_the_star_is_for_services_without_a_key():
    table = {"payments": ["p"], "*": ["spiffe://*"]}
    assert may_serve("p", "payments", table)
    assert not may_serve("p", "orders", table)
    assert may_serve("spiffe://x", "orders", table)
    assert not may_serve("spiffe://x", "payments", table)


def test_a_member_of_a_mesh_is_named_by_it():
    assert of_mesh("shop") == "mesh:shop"
