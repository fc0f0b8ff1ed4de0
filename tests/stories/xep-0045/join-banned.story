# XEP-0045 7.2.7: an outcast is forbidden to enter
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit outcast=hatter@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hatter receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Hatter' id='j1'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
alice receives nothing
