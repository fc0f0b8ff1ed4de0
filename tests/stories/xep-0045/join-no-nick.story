# XEP-0045 7.2.1: a join without a nick is jid-malformed
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
room rabbithole@rooms.wonderland.lit

alice sends
  <presence to='rabbithole@rooms.wonderland.lit' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>
alice receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit' id='j1'><error type='modify'>
    <jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
