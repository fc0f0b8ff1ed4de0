# XEP-0045 7.2, 7.4, 7.14: a user of another server, over S2S
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet sends
  <presence to='rabbithole@rooms.wonderland.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hamlet receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>

hamlet sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>What is this place?</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='m1'><body>What is this place?</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hamlet receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='m1'><body>What is this place?</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>

hamlet sends
  <presence type='unavailable' to='rabbithole@rooms.wonderland.lit/Hamlet'/>
hamlet receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'/>
    <status code='110'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>
