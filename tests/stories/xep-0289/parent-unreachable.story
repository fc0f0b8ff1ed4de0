# XEP-0289 5.1 (fmuc.md 6.3): the node to join cannot be reached: users here notice nothing
site wonderland rooms.wonderland.lit uplink rabbithole -> tower@rooms.verona.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence type='error' from='tower@rooms.verona.lit/Alice' to='rabbithole@rooms.wonderland.lit/Alice'>
    <error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
# Its server answers pings all the same: the path is there again, and the join comes again.
time 3s
alice receives nothing
tower receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice' to='tower@rooms.verona.lit/Alice'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Alone</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Alone</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
tower receives nothing
