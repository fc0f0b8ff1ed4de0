# XEP-0045 17.2, 17.3: payloads pass unchanged, also unknown ones; what only the room may say is removed
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1' xml:lang='en'>
    <body>Hello</body><body xml:lang='de'>Hallo</body>
    <replace xmlns='urn:xmpp:message-correct:0' id='m0'/>
    <reply xmlns='urn:xmpp:reply:0' to='rabbithole@rooms.wonderland.lit/Alice' id='r0'/>
    <q:deep xmlns:q='urn:example:deep' a='1'><inner xmlns='urn:example:inner'>&lt;&amp;text</inner></q:deep>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/><status code='110'/></x>
    <hats xmlns='urn:xmpp:hats:0'><hat uri='urn:h' title='Mad'/></hats>
  </message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1' xml:lang='en'>
    <body>Hello</body><body xml:lang='de'>Hallo</body>
    <replace xmlns='urn:xmpp:message-correct:0' id='m0'/>
    <reply xmlns='urn:xmpp:reply:0' to='rabbithole@rooms.wonderland.lit/Alice' id='r0'/>
    <q:deep xmlns:q='urn:example:deep' a='1'><inner xmlns='urn:example:inner'>&lt;&amp;text</inner></q:deep>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
