"""Reading the record of calls to other services."""

from tests.support.waiting import wait_until

PATH = "/api/v1/admin/api-interactions"


def listed(admin, n=1, **query):
    """Return the rows that match; waits for `n`, since they are stored after the answer."""

    def rows():
        answer = admin.http.get(PATH, params={"per_page": 200, **query})
        return answer.raise_for_status().json()["items"]

    wait_until(lambda: len(rows()) >= n)
    return rows()
