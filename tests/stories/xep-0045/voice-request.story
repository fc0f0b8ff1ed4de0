# XEP-0045 7.13, 8.6: a visitor asks for voice, moderators see the form, approval grants it
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit moderated owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <message to='rabbithole@rooms.wonderland.lit' id='v1'><x xmlns='jabber:x:data' type='submit'>
    <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>
    <field var='muc#role' type='list-single'><value>participant</value></field></x></message>
hatter receives nothing
alice receives
  <message from='rabbithole@rooms.wonderland.lit'><x xmlns='jabber:x:data' type='form'>
    <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#request</value></field>
    <field var='muc#role' type='list-single'>{*}<value>participant</value></field>
    <field var='muc#jid' type='jid-single'><value>hatter@wonderland.lit/tea</value></field>
    <field var='muc#roomnick' type='text-single'><value>Hatter</value></field>
    <field var='muc#request_allow' type='boolean'><value>false</value></field></x></message>

alice sends
  <message to='rabbithole@rooms.wonderland.lit' id='v2'><x xmlns='jabber:x:data' type='submit'>
    <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>
    <field var='muc#role'><value>participant</value></field>
    <field var='muc#jid'><value>hatter@wonderland.lit/tea</value></field>
    <field var='muc#roomnick'><value>Hatter</value></field>
    <field var='muc#request_allow'><value>true</value></field></x></message>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item>
    <status code='110'/></x></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>
