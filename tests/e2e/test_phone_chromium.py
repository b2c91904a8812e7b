"""The phone page in a real browser: what its buttons do and what it says, whatever happens around it.

``VAPIMEDIA_SCREENSHOTS`` names a folder for pictures of the page.
"""

from __future__ import annotations

import asyncio

import pytest
from phone_scene import IN_CHROMIUM, phoning, picture
from wire import until

pytestmark = IN_CHROMIUM


async def test_the_page_says_what_went_wrong_and_can_call_again(browser: str) -> None:
    async with phoning(browser, browser_secret="open sesame, please") as scene:
        page = scene.page
        await picture(page, "idle")
        await picture(page, "idle-phone", 390, 844)
        await page.click("#key")
        await page.type("wrong")
        await page.click("#call")
        await page.until("vapimedia.state === 'ended'")
        assert await page.run("vapimedia.notice") == "The key was refused."
        await picture(page, "refused", dark=True)
        assert scene.vapi.calls == {}
        # The field has the focus, and what is in it is marked.
        await page.type("open sesame, please")
        await page.run(
            "window.askForMicrophone = navigator.mediaDevices.getUserMedia;"
            "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'));"
        )
        await page.click("#call")
        await page.until("vapimedia.notice.startsWith('No microphone was found')")
        await page.run(
            "navigator.mediaDevices.getUserMedia = async (wanted) => {"
            " await new Promise((resolve) => setTimeout(resolve, 300));"
            " return (window.lent = await askForMicrophone.call(navigator.mediaDevices, wanted)); };"
        )
        await page.click("#call")
        await page.until("vapimedia.state === 'asking'")
        await page.click("#hang-up")
        await page.until("vapimedia.state === 'ended' && window.lent")
        await page.until("lent.getTracks().every((track) => track.readyState === 'ended')")
        assert scene.vapi.calls == {}
        await page.run("navigator.mediaDevices.getUserMedia = window.askForMicrophone;")
        call = await scene.call()
        assert await page.run("vapimedia.notice") == ""
        next(iter(scene.bridge.book.live)).provider.abort()
        await page.until("vapimedia.state === 'ended'")
        assert await page.run("vapimedia.notice") == "The connection was lost."
        await scene.is_over(call)
        # What the browser itself says of the refused request is no fault of the page.
        assert [problem for problem in page.problems if "401" not in problem] == []


async def test_hanging_up_before_a_call_is_live_leaves_none_at_vapi(browser: str) -> None:
    """The bridge asks Vapi for the call when the page asks the bridge.

    A call that Vapi's end never joined is none: nobody spoke, and it is not in progress.
    """
    async with phoning(browser) as scene:
        page = scene.page
        await page.run(
            "window.ask = fetch; window.fetch = async (...wanted) => {"
            " const answer = await ask(...wanted);"
            " await new Promise((resolve) => setTimeout(resolve, 200)); return answer; }; 0"
        )
        await page.click("#call")
        await scene.vapi.wait_for_call()
        await page.click("#hang-up")
        assert await page.run("vapimedia.state") == "ended"
        await until(lambda: len(scene.ended) == 1)
        # And while the socket is on its way.
        await page.run(
            "window.fetch = ask; window.WebSocket = class extends WebSocket {"
            " constructor(...wanted) {"
            "  super(...wanted); queueMicrotask(() => document.querySelector('#hang-up').click()); } }; 0"
        )
        await page.click("#call")
        await scene.vapi.wait_for_call(2)
        await until(lambda: len(scene.ended) == 2 and scene.bridge.book.live == set())
        await asyncio.sleep(0.1)
        await until(lambda: all(call.status != "in-progress" for call in scene.vapi.calls.values()))
        assert [(end.reason, end.detail) for end in scene.ended] == [("provider_stop", "hangup")] * 2
        assert page.problems == []


@pytest.mark.slow
async def test_sound_that_the_system_takes_away_is_taken_back_or_asked_for(browser: str) -> None:
    async with phoning(browser) as scene:
        page = scene.page
        await page.run(
            "window.isKept = true; window.AudioContext = class extends AudioContext {"
            " constructor(...wanted) { super(...wanted); window.context = this; }"
            " resume() { return isKept ? new Promise(() => {}) : super.resume(); } }; 0"
        )
        call = await scene.call()  # although resume() never settles
        await page.run("window.isKept = false; context.suspend()")
        await page.until("context.state === 'running'")
        await page.run("window.isKept = true; context.suspend()")
        await page.until("vapimedia.notice === 'Sound is paused. Tap to go on.'")
        await picture(page, "paused")
        await page.run("window.isKept = false")
        await page.click("h1")
        await page.until("vapimedia.notice === '' && context.state === 'running'")
        assert await page.run("vapimedia.state") == "live"

        # What a slow network has not taken is not piled up.
        await page.run("Object.defineProperty(WebSocket.prototype, 'bufferedAmount', { get: () => 1e5 }); 0")
        before = await page.run("vapimedia.stats")
        await page.until(f"vapimedia.stats.unsentMs > {before['unsentMs'] + 100}")
        assert await page.run("vapimedia.stats.sentMs") - before["sentMs"] < 30
        await page.click("#hang-up")
        await scene.is_over(call)
        assert page.problems == []


async def test_closing_the_page_ends_the_call(browser: str) -> None:
    async with phoning(browser) as scene:
        call = await scene.call()
        await scene.page.close()
        await scene.is_over(call)
        assert scene.ended[0].reason in ("provider_stop", "provider_closed", "provider_reset")
