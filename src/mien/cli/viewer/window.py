"""The viewer in a window of Tk, which comes with Python."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from mien.cli.viewer.view import App, Renderer, Screen
from mien.types import Image

if TYPE_CHECKING:
    import tkinter

_KEYS = {"prior": "pageup", "next": "pagedown", "return": "enter"}
_SHARE = 0.85  # of the monitor that a window may fill at first
_ROOM = (1280, 860)  # pixels: large enough on any monitor


def has_display() -> bool:
    """Whether a window can be opened, as far as is known without opening one."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    try:
        import tkinter  # noqa: F401 - some Pythons come without it
    except ImportError:
        return False
    return True


def show_in_window(app: App) -> bool:
    """Show an app in a window until it is done or closed; False if no window can be opened."""
    if not has_display():
        return False
    import tkinter

    try:
        root = tkinter.Tk(className="mien")
    except tkinter.TclError:  # a display is named, but nothing answers there
        return False
    _Window(root, app).run()
    return True


class _Window:
    def __init__(self, root: tkinter.Tk, app: App) -> None:
        import tkinter

        self.root, self.app, self.renderer = root, app, Renderer()
        self._last: Screen | None = None
        self._size = (0, 0)
        self._error: BaseException | None = None
        self._photo: Any = None
        wide, high = root.winfo_screenwidth(), root.winfo_screenheight()
        self._room = min(int(_SHARE * wide), _ROOM[0]), min(int(_SHARE * high), _ROOM[1])
        root.title(app.title)
        root.configure(background="#fafafa")
        self._label = tkinter.Label(root, borderwidth=0, background="#fafafa")
        self._label.pack(fill="both", expand=True)
        root.bind("<Key>", self._key)
        root.bind("<Configure>", self._resized)
        self._label.bind("<Button-1>", self._click)
        self._label.bind("<B1-Motion>", self._click)
        root.protocol("WM_DELETE_WINDOW", lambda: app.press("q"))

    def run(self) -> None:
        """Until the app is done; what it raises is raised here, not inside Tk."""
        self.root.after(0, self._tick)
        try:
            self.root.mainloop()
        finally:
            import tkinter

            with contextlib.suppress(tkinter.TclError):
                self.root.destroy()
        if self._error is not None:
            raise self._error

    def _tick(self) -> None:
        try:
            screen = self.app.next_screen()
            if screen is not None:
                self._show(screen)
            if self.app.done:
                self.root.quit()
                return
        except BaseException as error:  # noqa: BLE001 - Tk would print it and go on
            self._error = error
            self.root.quit()
            return
        self.root.after(max(1, round(1000 * self.app.pause_s)), self._tick)

    def _show(self, screen: Screen) -> None:
        self._last = screen
        image = self.renderer.draw(screen, self._room)
        size = image.shape[1], image.shape[0]
        if self._photo is None or size != self._size:
            self._photo = _photo(self.root, image)
            self._label.configure(image=self._photo)
        else:
            self._photo = _repaint(self._photo, image, self._label)
        self._size = size
        self.root.update_idletasks()

    def _resized(self, event: tkinter.Event[Any]) -> None:
        """Draw the screen again for the new size of the window."""
        if event.widget is not self.root or self._last is None:
            return
        if (event.width, event.height) not in (self._size, self._room):
            self._room = max(event.width, 200), max(event.height, 200)
            self._show(self._last)

    def _key(self, event: tkinter.Event[Any]) -> None:
        name = event.keysym.lower()
        char = event.char if event.char and event.char.isprintable() else ""
        self.app.press(_KEYS.get(name, char if char and name != "space" else name))

    def _click(self, event: tkinter.Event[Any]) -> None:
        left = (self._label.winfo_width() - self._size[0]) // 2
        top = (self._label.winfo_height() - self._size[1]) // 2
        if event.y - top in self.renderer.strip_rows and self._size[0]:
            self.app.seek(min(max((event.x - left) / self._size[0], 0.0), 1.0))


def _photo(root: tkinter.Tk, image: Image) -> Any:
    """An image of Tk, by way of Pillow where it was built with Tk."""
    try:
        from PIL import Image as Pil
        from PIL import ImageTk

        return ImageTk.PhotoImage(Pil.fromarray(image), master=root)
    except ImportError:
        import tkinter

        return tkinter.PhotoImage(master=root, data=_ppm(image), format="PPM")


def _repaint(photo: Any, image: Image, label: Any) -> Any:
    if hasattr(photo, "paste"):
        from PIL import Image as Pil

        photo.paste(Pil.fromarray(image))
    else:
        photo.configure(data=_ppm(image))
    return photo


def _ppm(image: Image) -> bytes:
    height, width = image.shape[:2]
    return b"P6 %d %d 255\n" % (width, height) + image.tobytes()
