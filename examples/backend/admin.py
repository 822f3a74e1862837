"""Who may edit and clear: whoever knows the token."""

import secrets
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

_bearer = HTTPBearer(auto_error=False)


def require_admin(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Answer 401 without a token, 403 with a wrong one."""
    if given is None:
        raise HTTPException(401, "a token is needed", {"WWW-Authenticate": "Bearer"})
    if not secrets.compare_digest(given.credentials, request.app.state.settings.backend_admin_token):
        raise HTTPException(403, "this token is not an administrator's")
