# XEP-0045 7.8.2: a mediated invitation, and the answer of who does not come
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user hatters hatter@wonderland.lit

alice joins rabbithole@rooms.wonderland.lit as Alice
alice sends
  <message to='rabbithole@rooms.wonderland.lit' id='i1'><x xmlns='http://jabber.org/protocol/muc#user'>
    <invite to='hatter@wonderland.lit'><reason>Tea</reason></invite></x></message>
hatters receives
  <message from='rabbithole@rooms.wonderland.lit'><x xmlns='http://jabber.org/protocol/muc#user'>
    <invite from='rabbithole@rooms.wonderland.lit/Alice'><reason>Tea</reason></invite></x></message>

hatter sends
  <message to='rabbithole@rooms.wonderland.lit' id='i2'><x xmlns='http://jabber.org/protocol/muc#user'>
    <decline to='rabbithole@rooms.wonderland.lit/Alice'><reason>No room</reason></decline></x></message>
alice receives
  <message from='rabbithole@rooms.wonderland.lit'><x xmlns='http://jabber.org/protocol/muc#user'>
    <decline from='hatter@wonderland.lit'><reason>No room</reason></decline></x></message>
