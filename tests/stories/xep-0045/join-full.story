# XEP-0045 7.2.9: a full room is service-unavailable (wait); an owner gets in
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit max=1 owner=dormouse@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hatter receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Hatter' id='j1'><error type='wait'>
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
alice receives nothing

dormouse joins rabbithole@rooms.wonderland.lit as Dormouse
alice leaves rabbithole@rooms.wonderland.lit
hatter joins rabbithole@rooms.wonderland.lit as Hatter
