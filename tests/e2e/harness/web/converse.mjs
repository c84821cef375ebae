// Starts Converse.js and keeps what the tests ask about: every stanza, every notice that was shown, every error.
window.heard = [];
window.told = [];
window.trouble = [];

addEventListener("error", (event) => trouble.push(String(event.message)));
addEventListener("unhandledrejection", ({ reason }) => trouble.push(`unhandled: ${reason?.outerHTML ?? reason?.stack ?? reason}`));

const NOTICES = ".chat-info, .chat-content__notifications, .chat-error, .chat-msg__error, .disconnect-msg, .alert, .conn-feedback";
new MutationObserver(() => {
    for (const element of document.querySelectorAll(NOTICES)) {
        const text = element.textContent.trim().replace(/\s+/g, " ");
        if (text && !told.includes(text)) told.push(text);
    }
}).observe(document.body, { subtree: true, childList: true, characterData: true });

window.asked = (domain) => {
    const requests = {};
    for (const [way, xml] of heard) {
        const iq = new DOMParser().parseFromString(xml, "text/xml").documentElement;
        if (iq.localName !== "iq") continue;
        const [id, type] = [iq.getAttribute("id"), iq.getAttribute("type")];
        if (way === ">" && (type === "get" || type === "set")) {
            const to = iq.getAttribute("to") ?? "";
            const payload = iq.firstElementChild;
            if (to.split("/")[0].split("@").pop() === domain) requests[id] = { to, type, asks: payload.namespaceURI, node: payload.getAttribute("node"), answer: null };
        } else if (way === "<" && requests[id]) {
            const error = iq.querySelector("error");
            requests[id].answer = error ? error.firstElementChild.localName : type;
        }
    }
    return requests;
};

converse.plugins.add("ear", {
    initialize() {
        const { api } = this._converse;
        window.api = api;
        api.listen.on("connectionInitialized", () => {
            const connection = api.connection.get();
            connection.xmlInput = (element) => heard.push(["<", element.outerHTML]);
            connection.xmlOutput = (element) => heard.push([">", element.outerHTML]);
        });
    },
});

converse.initialize({
    ...settings,
    allow_bookmarks: false, // they live in the account on the server, and would bring an earlier test's rooms
    assets_path: "/dist/",
    discover_connection_methods: false,
    i18n: "en",
    play_sounds: false,
    view_mode: "fullscreen",
    whitelisted_plugins: ["ear"],
});
