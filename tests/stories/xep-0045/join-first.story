# XEP-0045 7.2.2, 7.2.15: the first to enter gets self-presence and the empty subject; declared rooms are neither new nor locked
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
room rabbithole@rooms.wonderland.lit

alice sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='alice@wonderland.lit/rabbit'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
