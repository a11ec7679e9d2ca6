from __future__ import annotations

import jwt
import requests

from tests.devcloud.running import TIMEOUT_S, RunningCloud


def test_a_token_can_be_checked_with_what_discovery_leads_to(cloud: RunningCloud) -> None:
    discovery = requests.get(
        f"{cloud.cloud.convex_url}/.well-known/openid-configuration", timeout=TIMEOUT_S
    ).json()
    keys = jwt.PyJWKSet.from_dict(requests.get(discovery["jwks_uri"], timeout=TIMEOUT_S).json())
    token = cloud.authenticate()["convexToken"]
    header = jwt.get_unverified_header(token)
    assert header["alg"] in discovery["id_token_signing_alg_values_supported"]
    claims = jwt.decode(
        token,
        keys[header["kid"]],
        algorithms=[header["alg"]],
        audience="convex",
        issuer=discovery["issuer"],
    )
    assert claims["sub"] == "dev-sim-1"
