// What people have begun and not stored: the browser asks before it is lost.

/** Lets the browser ask before it leaves the page while `isUnsaved` returns true. */
export function guardLeaving(isUnsaved) {
  addEventListener("beforeunload", (event) => { if (isUnsaved()) event.preventDefault(); });
}
