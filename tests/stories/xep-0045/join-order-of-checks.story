# XEP-0045 7.2: ban before members-only before password before nick conflict
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit members-only password=jam owner=alice@wonderland.lit outcast=hatter@wonderland.lit member=march@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot
user march march@wonderland.lit/may

alice joins rabbithole@rooms.wonderland.lit as Alice password=jam
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hatter receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Alice' id='j1'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

dormouse sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice' id='j2'><x xmlns='http://jabber.org/protocol/muc'/></presence>
dormouse receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Alice' id='j2'><error type='auth'>
    <registration-required xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

march sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice' id='j3'><x xmlns='http://jabber.org/protocol/muc'/></presence>
march receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Alice' id='j3'><error type='auth'>
    <not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

march sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice' id='j4'><x xmlns='http://jabber.org/protocol/muc'>
    <password>jam</password></x></presence>
march receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Alice' id='j4'><error type='cancel'>
    <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
alice receives nothing
