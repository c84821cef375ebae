-- Prosody: lets tandem-muc serve conference.example.org as an external component (XEP-0114).
-- Include it from prosody.cfg.lua (Debian: copy it to /etc/prosody/conf.d/) and reload Prosody.

-- Where components attach. Loopback, because the stream is not encrypted; these two are read from the global section,
-- so they have to stand above every VirtualHost and Component line.
component_ports = { 5347 }
component_interfaces = { "127.0.0.1" }

-- Prosody holds small writes back by default (Nagle's algorithm), which adds 4 to 40 ms to each message. tandem-muc
-- works around it; without it there is nothing to work around.
network_settings = { nagle = false }

Component "conference.example.org"
    -- The same words as in `secret` or `secret_file` of tandem-muc.
    component_secret = "change me"

    -- A newcomer with the right secret replaces a stream that hangs, instead of being refused while the server has not
    -- yet noticed that the old one is dead.
    component_conflict_resolve = "kick_old"

    -- Rooms are found by people of these hosts in service discovery without further ado; the component's own name.
    name = "Chat rooms"
