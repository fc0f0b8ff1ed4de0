# XEP-0045 7.2.11, 10.1.1: nobody may create rooms here: not-allowed; no status 201, nothing locked
level core node real
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit

alice sends
  <presence to='den@rooms.wonderland.lit/Alice' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>
alice receives
  <presence type='error' from='den@rooms.wonderland.lit/Alice' id='j1'><error type='cancel'>
    <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

alice sends
  <message type='groupchat' to='den@rooms.wonderland.lit' id='m1'><body>anybody?</body></message>
alice receives
  <message type='error' from='den@rooms.wonderland.lit' id='m1'><error type='cancel'>
    <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>

alice sends
  <iq type='get' id='d1' to='den@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
alice receives
  <iq type='error' id='d1' from='den@rooms.wonderland.lit'><error type='cancel'>
    <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
